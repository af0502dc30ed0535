// Errors of the C interface as NSError; not part of the interface.
#import "FSVFilterDataProvider.h"

NS_ASSUME_NONNULL_BEGIN

/// Makes an error, and frees that of the C interface.
NSError *FSVMakeError(fsv_status status, fsv_error *_Nullable error);

/// Returns whether a status is OK, and writes the error if it is not.
BOOL FSVSucceeded(fsv_status status, fsv_error *_Nullable failure,
                  NSError *_Nullable *_Nullable error);

NS_ASSUME_NONNULL_END
