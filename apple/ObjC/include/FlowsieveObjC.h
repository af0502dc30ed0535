// The Objective-C face of flowsieve.
#import "FSVFilterDataProvider.h"
#import "FSVHostEndpoints.h"
