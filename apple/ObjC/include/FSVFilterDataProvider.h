// A content filter in Objective-C by rules of any number, with the shape of the Swift FlowsieveDataProvider.
#import <Foundation/Foundation.h>
#import <NetworkExtension/NetworkExtension.h>
#import <os/log.h>

#if __has_feature(modules)
@import CFlowsieve;
#elif __has_include(<CFlowsieve/flowsieve.h>)
#include <CFlowsieve/flowsieve.h>
#else
#include "flowsieve.h"
#endif

NS_ASSUME_NONNULL_BEGIN

/// The domain of errors whose code is an fsv_status.
extern NSErrorDomain const FSVErrorDomain;

/// In the userInfo of such an error: the line and the column in the settings text and the index of the rule,
/// each as NSNumber, where the error is about a place.
extern NSErrorUserInfoKey const FSVErrorLineKey;
extern NSErrorUserInfoKey const FSVErrorColumnKey;
extern NSErrorUserInfoKey const FSVErrorRuleKey;

/// The domain of errors of a reload that are no fsv_status.
extern NSErrorDomain const FSVReloadErrorDomain;

typedef NS_ENUM(NSInteger, FSVReloadError) {
    /// The filter was stopped before the framework had answered.
    FSVReloadErrorStopped = 1,
};

/// NEFilterSettings of any size. Immutable; any thread may use it.
@interface FSVFilterSettings : NSObject

/// Owned by this object, and good for as long as it is.
@property(readonly) const fsv_settings *handle NS_RETURNS_INNER_POINTER;

/// Reads a settings file.
- (nullable instancetype)initWithJSON:(NSData *)json error:(NSError **)error;

/// Reads a settings file. `flags` is 0 or FSV_PARSE_HOSTNAME_IN_NETWORK: a host name in a network initialiser then
/// makes a host rule of the rule's direction (S-46), and is no error. The framework is not given such a rule as it
/// stands: it needs a first stage.
- (nullable instancetype)initWithJSON:(NSData *)json flags:(uint32_t)flags error:(NSError **)error;

/// Takes ownership of settings that nobody changes any more.
- (instancetype)initWithHandle:(fsv_settings *)handle NS_DESIGNATED_INITIALIZER;

- (instancetype)init NS_UNAVAILABLE;

/// Returns a first stage of at most `limit` rules; see fsv_settings_plan. The framework takes 1000.
- (nullable FSVFilterSettings *)firstStageWithLimit:(NSUInteger)limit
                                         precedence:(fsv_precedence)precedence
                                              error:(NSError **)error;

/// Returns a first stage that sends every flow to the extension, loopback too.
+ (nullable FSVFilterSettings *)everythingWithError:(NSError **)error;

/// Makes the framework's settings of rules that the framework takes.
- (nullable NEFilterSettings *)frameworkSettingsWithError:(NSError **)error;

@end

/// What a provider did.
typedef struct FSVFilterStatistics {
    uint64_t generation; // of the settings in force
    fsv_hits hits;       // decisions since those settings were put in force; zeros if they are not counted
    uint64_t waited;     // flows whose local endpoint was waited for
    uint64_t failed;     // decisions that could not be made
    uint64_t otherKinds; // flows that are not socket flows
} FSVFilterStatistics;

/// Reads a flow of the framework, of macOS 15 or before. The host name is borrowed from `flow` and from what
/// is returned in `names`, which has to be kept as long as `read` is used.
///
/// Fails for an endpoint that is neither address nor name, for text that is no Unicode, for a protocol number over
/// 255, and for a direction that is not known.
fsv_status FSVReadFlow(NEFilterSocketFlow *flow, fsv_flow *read, NSObject *_Nullable *_Nonnull names);

@interface FSVFilterDataProvider : NEFilterDataProvider

#pragma mark What subclasses choose

/// How the settings are compiled. The default counts hits and drops flows that cannot be decided. Asked once,
/// in init.
@property(readonly) fsv_matcher_options matcherOptions;

/// Returns the settings to start with. The default reads the JSON text, as NSString or NSData, under
/// "flowsieveSettings" in the vendor configuration of the filter's configuration.
- (nullable FSVFilterSettings *)loadSettingsWithError:(NSError **)error;

/// Returns what the framework is given. The default is the settings themselves where the framework takes
/// them, and otherwise a plan of at most 1000 rules. The framework decides by it before outbound TCP has a local
/// endpoint, so that a rule with a local side does not match there (S-21); a flow that reaches the extension is
/// waited for. With +[FSVFilterSettings everythingWithError:] all do. Settings made elsewhere, for instance by
/// `flowsieve plan`, are not verified here: `flowsieve plan --verify` does that.
- (nullable FSVFilterSettings *)firstStageForSettings:(FSVFilterSettings *)settings
                                                error:(NSError **)error;

/// Returns what is done with a flow to which the settings give filterData: FSV_ACTION_ALLOW, FSV_ACTION_DROP,
/// or FSV_ACTION_FILTER_DATA, as the default has it, and its data is looked at. Both methods below ask this, so
/// where the data does not matter it is all there is to override. It is asked again for a flow that had to wait
/// for its local endpoint, and for each piece of data.
- (fsv_action)filteredActionForFlow:(NEFilterSocketFlow *)flow decision:(const fsv_decision *)decision;

/// Answers a new flow to which the settings give filterData. The default does what the method above says, and
/// asks for the data where that is filterData. A flow that has to wait for its local endpoint does not come
/// here, but to the method below at once: override both or none.
- (NEFilterNewFlowVerdict *)handleFilteredFlow:(NEFilterSocketFlow *)flow
                                      decision:(const fsv_decision *)decision;

/// Answers data of such a flow. The default drops the flow where filteredActionForFlow: says so, and else
/// allows it. A flow that had to wait for its local endpoint comes here without the method above.
- (NEFilterDataVerdict *)handleFilteredDataFromFlow:(NEFilterSocketFlow *)flow
                                          direction:(NETrafficDirection)direction
                                             offset:(NSUInteger)offset
                                          readBytes:(NSData *)readBytes
                                           decision:(const fsv_decision *)decision;

/// Where is logged. The default has the subsystem "flowsieve" and the category "filter".
@property(readonly) os_log_t log;

/// Whether each new flow is logged, with its endpoints marked private. The default logs starts, stops, reloads
/// and failures, and counts the rest: see `statistics`.
@property(readonly) BOOL logsFlows;

#pragma mark What is called from outside

/// Puts settings in the place of the current ones, and gives the framework their first stage. On failure the
/// former settings stay or are put back. Reloads are done one after the other.
///
/// A framework that never answers keeps all of them waiting, until stopFilter ends them: FSVReloadErrorStopped in
/// FSVReloadErrorDomain. The extension then goes on with the settings that it has by then, a later reload works as
/// ever, and an answer that comes late changes nothing.
- (void)reloadSettings:(FSVFilterSettings *)settings
     completionHandler:(void (^)(NSError *_Nullable error))completionHandler;

/// Decides a flow by the current settings. For a flow that cannot be decided, the decision has the failure
/// action and no reason.
- (void)decideFlow:(NEFilterSocketFlow *)flow decision:(fsv_decision *)decision;

/// Gives the matcher that decides now, which explains flows and has the hits of each rule; to be freed with
/// fsv_matcher_free.
- (fsv_status)getMatcher:(fsv_matcher *_Nullable *_Nonnull)matcher;

/// What was done so far.
@property(readonly) FSVFilterStatistics statistics;

@end

NS_ASSUME_NONNULL_END
