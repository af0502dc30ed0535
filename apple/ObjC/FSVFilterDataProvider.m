#import "FSVFilterDataProvider.h"

#import "FSVErrors.h"
#import "FSVHostEndpoints.h"
#import <Network/Network.h>
#import <os/lock.h>

typedef void (^FSVCompletionHandler)(NSError *_Nullable error);

/// Whether the local address and port of a flow are known.
static BOOL isLocalEndpointKnown(const fsv_flow *flow) {
    if ((flow->known & FSV_KNOWN_LOCAL) == 0 || flow->local_port == 0) {
        return NO;
    }
    size_t count = flow->local_family == FSV_FAMILY_IPV4 ? 4 : 16;
    for (size_t i = 0; i < count; i++) {
        if (flow->local_address[i] != 0) {
            return YES;
        }
    }
    return NO;
}

/// Whether a rule has a local side, so that the local endpoint can matter.
static BOOL hasLocalRules(FSVFilterSettings *settings) {
    size_t count = fsv_settings_rule_count(settings.handle);
    for (size_t index = 0; index < count; index++) {
        fsv_rule rule = FSV_RULE_INIT;
        if (fsv_settings_rule(settings.handle, index, &rule) != FSV_STATUS_OK || rule.has_local) {
            return YES;
        }
    }
    return NO;
}

/// The text of an endpoint before macOS 15, where there is one.
static NSString *_Nullable textOf(FSVEndpointState state, FSVHostEndpoint *_Nullable endpoint) {
    BOOL isHost = state == FSVEndpointStateHost && endpoint != nil;
    return isHost ? [NSString stringWithFormat:@"%@:%@", endpoint.hostname, endpoint.port] : nil;
}

static const char *nameOfDirection(NETrafficDirection direction) {
    switch (direction) {
    case NETrafficDirectionInbound:
        return "inbound";
    case NETrafficDirectionOutbound:
        return "outbound";
    default:
        return "any";
    }
}

static const char *nameOfAction(fsv_action action) {
    switch (action) {
    case FSV_ACTION_ALLOW:
        return "allow";
    case FSV_ACTION_FILTER_DATA:
        return "filterData";
    default:
        return "drop";
    }
}

/// Returns an error also where a subclass gave none: to the framework, nil is success.
static NSError *madeIfNil(NSError *_Nullable error) {
    return error ?: FSVMakeError(FSV_STATUS_INVALID_SETTINGS, NULL);
}

/// A reload that waits or is under way.
@interface FSVReload : NSObject

@property(readonly) FSVFilterSettings *settings;
@property(readonly, copy) FSVCompletionHandler completionHandler;

@end

@implementation FSVReload

- (instancetype)initWithSettings:(FSVFilterSettings *)settings
               completionHandler:(FSVCompletionHandler)completionHandler {
    self = [super init];
    if (self != nil) {
        _settings = settings;
        _completionHandler = [completionHandler copy];
    }
    return self;
}

/// On a thread of its own, since the handler may wait for another reload.
- (void)callWithError:(nullable NSError *)error {
    dispatch_async(dispatch_get_global_queue(QOS_CLASS_USER_INITIATED, 0), ^{
        self.completionHandler(error);
    });
}

@end

@implementation FSVFilterDataProvider {
    // Set in init and never again; NULL if no matcher could be made, and then every flow gets the failure
    // action.
    fsv_live *_live;
    fsv_action _failureAction;
    fsv_precedence _precedence;
    // Settings are planned and put in force here, one after the other.
    dispatch_queue_t _installs;

    os_unfair_lock _lock; // of all below
    // The last whose first stage the framework took; at first, those of the failure action.
    FSVFilterSettings *_settings;
    BOOL _hasLocalRules; // of the settings in force
    // The first is under way.
    NSMutableArray<FSVReload *> *_reloads;
    uint64_t _waited;
    uint64_t _failed;
    uint64_t _otherKinds;
}

- (instancetype)init {
    self = [super init];
    if (self == nil) {
        return nil;
    }
    _lock = OS_UNFAIR_LOCK_INIT;
    _installs = dispatch_queue_create("flowsieve.reloads", DISPATCH_QUEUE_SERIAL);
    _reloads = [NSMutableArray array];
    fsv_matcher_options options = self.matcherOptions;
    fsv_action action = options.failure_action;
    BOOL isOther = action == FSV_ACTION_ALLOW || action == FSV_ACTION_FILTER_DATA;
    _failureAction = isOther ? action : FSV_ACTION_DROP;
    _precedence = options.precedence;
    // Until settings are in force, flows get the failure action.
    fsv_settings *settings = NULL;
    fsv_error *failure = NULL;
    fsv_status status = fsv_settings_new(_failureAction, &settings);
    if (status == FSV_STATUS_OK) {
        _settings = [[FSVFilterSettings alloc] initWithHandle:settings];
        status = fsv_live_new(settings, &options, &_live, &failure);
    }
    if (status != FSV_STATUS_OK) {
        NSError *error = FSVMakeError(status, failure);
        os_log_fault(self.log, "cannot make a matcher: %{public}@", error.localizedDescription);
    }
    return self;
}

- (void)dealloc {
    fsv_live_free(_live);
}

#pragma mark What subclasses choose

- (fsv_matcher_options)matcherOptions {
    fsv_matcher_options options = FSV_MATCHER_OPTIONS_INIT;
    options.count_hits = 1;
    return options;
}

- (nullable FSVFilterSettings *)loadSettingsWithError:(NSError **)error {
    id text = self.filterConfiguration.vendorConfiguration[@"flowsieveSettings"];
    if ([text isKindOfClass:[NSString class]]) {
        text = [(NSString *)text dataUsingEncoding:NSUTF8StringEncoding];
    }
    if (![text isKindOfClass:[NSData class]]) {
        NSString *message = @"the vendor configuration has no settings under `flowsieveSettings`";
        if (error != NULL) {
            *error = [NSError errorWithDomain:FSVErrorDomain
                                         code:FSV_STATUS_INVALID_SETTINGS
                                     userInfo:@{NSLocalizedDescriptionKey : message}];
        }
        return nil;
    }
    return [[FSVFilterSettings alloc] initWithJSON:(NSData *)text error:error];
}

- (nullable FSVFilterSettings *)firstStageForSettings:(FSVFilterSettings *)settings
                                                error:(NSError **)error {
    // The framework takes the first match, whatever the extension does. An empty text is one byte, its NUL.
    size_t needed = 0;
    fsv_status status = fsv_settings_validate_for_framework(settings.handle, NULL, 0, &needed);
    BOOL isTaken = status == FSV_STATUS_BUFFER_TOO_SMALL && needed == 1;
    if (isTaken && _precedence == FSV_PRECEDENCE_FIRST_MATCH) {
        return settings;
    }
    return [settings firstStageWithLimit:1000 precedence:_precedence error:error];
}

- (fsv_action)filteredActionForFlow:(NEFilterSocketFlow *)__unused flow
                           decision:(const fsv_decision *)__unused decision {
    return FSV_ACTION_FILTER_DATA;
}

- (NEFilterNewFlowVerdict *)handleFilteredFlow:(NEFilterSocketFlow *)flow
                                      decision:(const fsv_decision *)decision {
    fsv_action action = [self filteredActionForFlow:flow decision:decision];
    if (action != FSV_ACTION_FILTER_DATA) {
        return action == FSV_ACTION_ALLOW ? [NEFilterNewFlowVerdict allowVerdict]
                                          : [NEFilterNewFlowVerdict dropVerdict];
    }
    return [NEFilterNewFlowVerdict filterDataVerdictWithFilterInbound:YES
                                                     peekInboundBytes:NEFilterFlowBytesMax
                                                       filterOutbound:YES
                                                    peekOutboundBytes:NEFilterFlowBytesMax];
}

- (NEFilterDataVerdict *)handleFilteredDataFromFlow:(NEFilterSocketFlow *)flow
                                          direction:(NETrafficDirection)__unused direction
                                             offset:(NSUInteger)__unused offset
                                          readBytes:(NSData *)__unused readBytes
                                           decision:(const fsv_decision *)decision {
    return [self dataVerdictOfFilteredFlow:flow decision:decision];
}

- (os_log_t)log {
    return os_log_create("flowsieve", "filter");
}

- (BOOL)logsFlows {
    return NO;
}

#pragma mark What is called from outside

- (void)reloadSettings:(FSVFilterSettings *)settings
     completionHandler:(FSVCompletionHandler)completionHandler {
    FSVReload *reload = [[FSVReload alloc] initWithSettings:settings completionHandler:completionHandler];
    os_unfair_lock_lock(&_lock);
    [_reloads addObject:reload];
    BOOL isFirst = _reloads.count == 1;
    os_unfair_lock_unlock(&_lock);
    if (isFirst) {
        [self begin:reload];
    }
}

- (void)decideFlow:(NEFilterSocketFlow *)flow decision:(fsv_decision *)decision {
    BOOL isKnown = YES;
    *decision = (fsv_decision)FSV_DECISION_INIT;
    (void)[self decide:flow into:decision isLocalEndpointKnown:&isKnown];
}

- (fsv_status)getMatcher:(fsv_matcher *_Nullable *_Nonnull)matcher {
    return fsv_live_matcher(_live, matcher);
}

- (FSVFilterStatistics)statistics {
    FSVFilterStatistics statistics = {0};
    fsv_hits hits = FSV_HITS_INIT;
    fsv_matcher *matcher = NULL;
    if (_live != NULL && fsv_live_matcher(_live, &matcher) == FSV_STATUS_OK) {
        statistics.generation = fsv_matcher_generation(matcher);
        (void)fsv_matcher_hits(matcher, &hits);
    }
    fsv_matcher_free(matcher);
    statistics.hits = hits;
    os_unfair_lock_lock(&_lock);
    statistics.waited = _waited;
    statistics.failed = _failed;
    statistics.otherKinds = _otherKinds;
    os_unfair_lock_unlock(&_lock);
    return statistics;
}

#pragma mark NEFilterDataProvider

- (void)startFilterWithCompletionHandler:(FSVCompletionHandler)completionHandler {
    NSError *error = nil;
    FSVFilterSettings *settings = [self loadSettingsWithError:&error];
    if (settings == nil) {
        error = madeIfNil(error);
        os_log_error(self.log, "not started: %{public}@", error.localizedDescription);
        completionHandler(error);
        return;
    }
    [self reloadSettings:settings completionHandler:completionHandler];
}

- (void)stopFilterWithReason:(NEProviderStopReason)reason
           completionHandler:(void (^)(void))completionHandler {
    FSVFilterStatistics counts = self.statistics;
    os_log(self.log,
           "stopped, reason %ld: generation %llu, %llu decisions by rules, %llu by default, %llu of loopback, "
           "%llu flows waited for, %llu failures, %llu of other kinds",
           (long)reason, counts.generation, counts.hits.by_rule, counts.hits.by_default,
           counts.hits.by_loopback, counts.waited, counts.failed, counts.otherKinds);
    os_unfair_lock_lock(&_lock);
    NSMutableArray<FSVReload *> *ended = _reloads;
    _reloads = [NSMutableArray array];
    os_unfair_lock_unlock(&_lock);
    NSDictionary *info = @{NSLocalizedDescriptionKey : @"the filter was stopped before the reload was done"};
    for (NSUInteger index = 0; index < ended.count; index++) {
        [ended[index] callWithError:[NSError errorWithDomain:FSVReloadErrorDomain
                                                        code:FSVReloadErrorStopped
                                                    userInfo:info]];
    }
    completionHandler();
}

- (NEFilterNewFlowVerdict *)handleNewFlow:(NEFilterFlow *)flow {
    fsv_decision decision = FSV_DECISION_INIT;
    BOOL isKnown = YES;
    fsv_action action = [self decide:flow into:&decision isLocalEndpointKnown:&isKnown];
    if (self.logsFlows && [flow isKindOfClass:[NEFilterSocketFlow class]]) {
        [self logFlow:(NEFilterSocketFlow *)flow decision:&decision];
    }
    if (!decision.is_final && !isKnown && [self mustWait]) {
        // Of either side, whichever comes first: by then the socket is bound.
        return [NEFilterNewFlowVerdict filterDataVerdictWithFilterInbound:YES
                                                         peekInboundBytes:1
                                                           filterOutbound:YES
                                                        peekOutboundBytes:1];
    }
    if (action == FSV_ACTION_FILTER_DATA && [flow isKindOfClass:[NEFilterSocketFlow class]]) {
        return [self handleFilteredFlow:(NEFilterSocketFlow *)flow decision:&decision];
    }
    return action == FSV_ACTION_ALLOW ? [NEFilterNewFlowVerdict allowVerdict]
                                      : [NEFilterNewFlowVerdict dropVerdict];
}

- (NEFilterDataVerdict *)handleInboundDataFromFlow:(NEFilterFlow *)flow
                              readBytesStartOffset:(NSUInteger)offset
                                         readBytes:(NSData *)readBytes {
    return [self handleDataFromFlow:flow direction:NETrafficDirectionInbound offset:offset readBytes:readBytes];
}

- (NEFilterDataVerdict *)handleOutboundDataFromFlow:(NEFilterFlow *)flow
                               readBytesStartOffset:(NSUInteger)offset
                                          readBytes:(NSData *)readBytes {
    return [self handleDataFromFlow:flow direction:NETrafficDirectionOutbound offset:offset readBytes:readBytes];
}

- (NEFilterDataVerdict *)handleInboundDataCompleteForFlow:(NEFilterFlow *)flow {
    return [self handleDataFromFlow:flow direction:NETrafficDirectionAny offset:0 readBytes:nil];
}

- (NEFilterDataVerdict *)handleOutboundDataCompleteForFlow:(NEFilterFlow *)flow {
    return [self handleDataFromFlow:flow direction:NETrafficDirectionAny offset:0 readBytes:nil];
}

#pragma mark How it is done

/// Returns the action, and writes the decision; where there is none, it has the action alone. Where that is
/// FSV_ACTION_FILTER_DATA, the callers drop flows of other kinds, as nobody could be asked about their data.
- (fsv_action)decide:(NEFilterFlow *)flow
                    into:(fsv_decision *)decision
    isLocalEndpointKnown:(BOOL *)isKnown {
    if (![flow isKindOfClass:[NEFilterSocketFlow class]]) {
        // Not seen on macOS as far as its documentation goes; no rule can match it.
        os_unfair_lock_lock(&_lock);
        _otherKinds++;
        os_unfair_lock_unlock(&_lock);
        return _failureAction;
    }
    fsv_flow read = FSV_FLOW_INIT;
    NSObject *names = nil;
    fsv_status status = FSVReadFlow((NEFilterSocketFlow *)flow, &read, &names);
    if (status == FSV_STATUS_OK) {
        *isKnown = isLocalEndpointKnown(&read);
        status = fsv_live_decide(_live, &read, decision);
    }
    // The host name of the flow stands in these until here.
    (void)[names self];
    if (status == FSV_STATUS_OK) {
        switch (decision->action) {
        case FSV_ACTION_ALLOW:
        case FSV_ACTION_DROP:
        case FSV_ACTION_FILTER_DATA:
            return decision->action;
        default:
            // Of a library to come.
            decision->action = FSV_ACTION_NONE;
            status = FSV_STATUS_INVALID_ARGUMENT;
        }
    }
    os_unfair_lock_lock(&_lock);
    uint64_t count = ++_failed;
    os_unfair_lock_unlock(&_lock);
    // The first, and then ever fewer.
    if ((count & (count - 1)) == 0) {
        os_log_error(self.log, "%llu flows could not be decided, now: %{public}s", count,
                     fsv_status_message(status));
    }
    decision->action = _failureAction;
    decision->is_final = 1;
    return _failureAction;
}

- (void)logFlow:(NEFilterSocketFlow *)flow decision:(const fsv_decision *)decision {
    NSObject *local = nil;
    NSObject *remote = nil;
    if (@available(macOS 15.0, *)) {
        local = (NSObject *)flow.localFlowEndpoint;
        remote = (NSObject *)flow.remoteFlowEndpoint;
    } else {
        FSVHostEndpoint *endpoint = nil;
        FSVEndpointState state = FSVLocalHostEndpoint(flow, &endpoint);
        local = textOf(state, endpoint);
        state = FSVRemoteHostEndpoint(flow, &endpoint);
        remote = textOf(state, endpoint);
    }
    os_log_t log = self.log;
    os_log_info(log,
                "Got a new flow with local endpoint %{private}@, remote endpoint %{private}@, direction "
                "%{public}s",
                local, remote, nameOfDirection(flow.direction));
    const char *action = nameOfAction(decision->action);
    if (decision->rule == FSV_NO_RULE) {
        os_log_info(log, "action %{public}s, rule none", action);
    } else {
        os_log_info(log, "action %{public}s, rule %u", action, decision->rule);
    }
}

/// Decides again: either the flow was waited for, or it is one whose data is filtered. If the local endpoint
/// is still not known, what is the action for now is taken.
- (NEFilterDataVerdict *)handleDataFromFlow:(NEFilterFlow *)flow
                                  direction:(NETrafficDirection)direction
                                     offset:(NSUInteger)offset
                                  readBytes:(nullable NSData *)readBytes {
    fsv_decision decision = FSV_DECISION_INIT;
    BOOL isKnown = YES;
    fsv_action action = [self decide:flow into:&decision isLocalEndpointKnown:&isKnown];
    if (action == FSV_ACTION_FILTER_DATA && [flow isKindOfClass:[NEFilterSocketFlow class]]) {
        if (readBytes == nil) {
            return [self dataVerdictOfFilteredFlow:(NEFilterSocketFlow *)flow decision:&decision];
        }
        return [self handleFilteredDataFromFlow:(NEFilterSocketFlow *)flow
                                      direction:direction
                                         offset:offset
                                      readBytes:(NSData *)readBytes
                                       decision:&decision];
    }
    return action == FSV_ACTION_ALLOW ? [NEFilterDataVerdict allowVerdict]
                                      : [NEFilterDataVerdict dropVerdict];
}

- (NEFilterDataVerdict *)dataVerdictOfFilteredFlow:(NEFilterSocketFlow *)flow
                                          decision:(const fsv_decision *)decision {
    fsv_action action = [self filteredActionForFlow:flow decision:decision];
    BOOL passes = action == FSV_ACTION_ALLOW || action == FSV_ACTION_FILTER_DATA;
    return passes ? [NEFilterDataVerdict allowVerdict] : [NEFilterDataVerdict dropVerdict];
}

/// Whether a rule has a local side: if none has, a flow that is not final lacks a host name, and that does
/// not come later (S-44).
- (BOOL)mustWait {
    os_unfair_lock_lock(&_lock);
    BOOL mustWait = _hasLocalRules;
    _waited += mustWait ? 1 : 0;
    os_unfair_lock_unlock(&_lock);
    return mustWait;
}

- (void)setHasLocalRules:(BOOL)hasLocal {
    os_unfair_lock_lock(&_lock);
    _hasLocalRules = hasLocal;
    os_unfair_lock_unlock(&_lock);
}

/// Puts settings into the matcher.
- (BOOL)replace:(FSVFilterSettings *)settings generation:(uint64_t *)generation error:(NSError **)error {
    // A call for each rule, and flows wait for the lock.
    BOOL hasLocal = hasLocalRules(settings);
    // Before they are in force, so that no flow that should be waited for is not.
    os_unfair_lock_lock(&_lock);
    BOOL former = _hasLocalRules;
    _hasLocalRules = former || hasLocal;
    os_unfair_lock_unlock(&_lock);
    fsv_error *failure = NULL;
    fsv_status status = fsv_live_replace(_live, settings.handle, generation, &failure);
    BOOL isDone = FSVSucceeded(status, failure, error);
    [self setHasLocalRules:isDone ? hasLocal : former];
    return isDone;
}

- (void)begin:(FSVReload *)reload {
    // Planning takes long for many rules, and the framework waits for nobody.
    dispatch_async(_installs, ^{
        [self install:reload];
    });
}

/// Whether a reload is under way: stopFilter has not ended it.
- (BOOL)isUnderWay:(FSVReload *)reload {
    os_unfair_lock_lock(&_lock);
    BOOL isUnderWay = _reloads.count > 0 && _reloads[0] == reload;
    os_unfair_lock_unlock(&_lock);
    return isUnderWay;
}

- (void)end:(FSVReload *)reload error:(nullable NSError *)error {
    FSVReload *next = nil;
    os_unfair_lock_lock(&_lock);
    BOOL isEnded = _reloads.count > 0 && _reloads[0] == reload;
    if (isEnded) {
        [_reloads removeObjectAtIndex:0];
        next = _reloads.count > 0 ? _reloads[0] : nil;
        _settings = error == nil ? reload.settings : _settings;
    }
    os_unfair_lock_unlock(&_lock);
    if (!isEnded) {
        return;
    }
    if (next != nil) {
        [self begin:(FSVReload *)next];
    }
    [reload callWithError:error];
}

- (void)install:(FSVReload *)reload {
    if (![self isUnderWay:reload]) {
        return;
    }
    NSError *error = nil;
    FSVFilterSettings *settings = reload.settings;
    FSVFilterSettings *firstStage = [self firstStageForSettings:settings error:&error];
    NEFilterSettings *framework = [firstStage frameworkSettingsWithError:&error];
    if (![self isUnderWay:reload]) {
        return;
    }
    uint64_t generation = 0;
    if (framework == nil || ![self replace:settings generation:&generation error:&error]) {
        error = madeIfNil(error);
        os_log_error(self.log, "settings not taken: %{public}@", error.localizedDescription);
        [self end:reload error:error];
        return;
    }
    if (![self isUnderWay:reload]) {
        return;
    }
    [self applySettings:framework
        completionHandler:^(NSError *_Nullable refusal) {
            if (refusal != nil) {
                // Where nothing else is put in force meanwhile.
                dispatch_async(self->_installs, ^{
                    [self putBackFor:reload refusal:(NSError *)refusal];
                });
                return;
            }
            if ([self isUnderWay:reload]) {
                os_log(self.log, "generation %llu: %lu rules, first stage of %lu", generation,
                       (unsigned long)fsv_settings_rule_count(settings.handle),
                       (unsigned long)framework.rules.count);
            }
            [self end:reload error:nil];
        }];
}

- (void)putBackFor:(FSVReload *)reload refusal:(NSError *)refusal {
    if (![self isUnderWay:reload]) {
        return;
    }
    os_unfair_lock_lock(&_lock);
    FSVFilterSettings *former = _settings;
    os_unfair_lock_unlock(&_lock);
    NSError *failure = nil;
    if (former == nil || ![self replace:(FSVFilterSettings *)former generation:NULL error:&failure]) {
        os_log_fault(self.log, "first stage refused: %{public}@; former settings not put back",
                     refusal.localizedDescription);
    } else {
        os_log_error(self.log, "first stage refused: %{public}@", refusal.localizedDescription);
    }
    [self end:reload error:refusal];
}

@end
