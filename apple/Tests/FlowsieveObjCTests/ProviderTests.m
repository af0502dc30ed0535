// The Objective-C provider, driven as the framework would drive it, as far as its documentation goes. Run on
// Linux by scripts/check-swift, once as on macOS 15 and once as on a system before it, with the same answers.
#import "FlowsieveObjC.h"
#import "Stubs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *running;
static int failures;

#define EXPECT(condition)                                                                              \
    do {                                                                                               \
        if (!(condition)) {                                                                            \
            fprintf(stderr, "%s, line %d: %s\n", running, __LINE__, #condition);                       \
            failures++;                                                                                \
        }                                                                                              \
    } while (0)

#pragma mark The framework

typedef struct End {
    const char *host;
    uint16_t port;
} End;

static const End unbound = {"0.0.0.0", 0};

/// An endpoint in both forms, as macOS 15 has it.
static void setEnd(NEFilterSocketFlow *flow, BOOL isRemote, End end) {
    char port[8];
    snprintf(port, sizeof port, "%u", end.port);
    NWHostEndpoint *old = [NWHostEndpoint endpointWithHostname:@(end.host) port:@(port)];
    BOOL isName = strspn(end.host, "0123456789abcdef.:") != strlen(end.host);
    nw_endpoint_t new = isName ? StubEndpointOfType(nw_endpoint_type_host, end.host, end.port)
                               : StubAddressEndpoint(end.host, end.port, 0);
    if (isRemote) {
        flow.remoteEndpoint = old;
        flow.remoteFlowEndpoint = new;
    } else {
        flow.localEndpoint = old;
        flow.localFlowEndpoint = new;
    }
}

static NEFilterSocketFlow *makeFlow(End remote, End local) {
    NEFilterSocketFlow *flow = [[NEFilterSocketFlow alloc] init];
    flow.socketProtocol = 6;
    flow.direction = NETrafficDirectionOutbound;
    setEnd(flow, YES, remote);
    setEnd(flow, NO, local);
    return flow;
}

/// A provider whose first stage sends every flow, if it is told to.
@interface TestProvider : FSVFilterDataProvider
@property BOOL sendsEverything;
@property BOOL logsEachFlow;
@property(nullable) const char *category;
@property BOOL hasNoFirstStage;
@property fsv_action filtered;
@end

/// What providers do with what they cannot decide.
static fsv_action failureAction = FSV_ACTION_DROP;

@implementation TestProvider

- (instancetype)init {
    self = [super init];
    _filtered = FSV_ACTION_FILTER_DATA;
    return self;
}

- (os_log_t)log {
    return self.category == NULL ? super.log : os_log_create("test", (const char *)self.category);
}

- (BOOL)logsFlows {
    return self.logsEachFlow || super.logsFlows;
}

- (fsv_matcher_options)matcherOptions {
    fsv_matcher_options options = super.matcherOptions;
    options.failure_action = failureAction;
    return options;
}

- (fsv_action)filteredActionForFlow:(NEFilterSocketFlow *)__unused flow
                           decision:(const fsv_decision *)__unused decision {
    return self.filtered;
}

- (nullable FSVFilterSettings *)firstStageForSettings:(FSVFilterSettings *)settings error:(NSError **)error {
    if (self.hasNoFirstStage) {
        return nil;
    }
    if (!self.sendsEverything) {
        return [super firstStageForSettings:settings error:error];
    }
    return [FSVFilterSettings everythingWithError:error];
}

@end

static NSError *reload(FSVFilterDataProvider *provider, FSVFilterSettings *settings) {
    dispatch_semaphore_t done = dispatch_semaphore_create(0);
    __block NSError *given = nil;
    [provider reloadSettings:settings
           completionHandler:^(NSError *_Nullable error) {
               given = error;
               dispatch_semaphore_signal(done);
           }];
    dispatch_semaphore_wait(done, DISPATCH_TIME_FOREVER);
    return given;
}

static NSError *start(FSVFilterDataProvider *provider, NSString *json) {
    provider.filterConfiguration.vendorConfiguration = @{@"flowsieveSettings" : json};
    dispatch_semaphore_t done = dispatch_semaphore_create(0);
    __block NSError *given = nil;
    [provider startFilterWithCompletionHandler:^(NSError *_Nullable error) {
        given = error;
        dispatch_semaphore_signal(done);
    }];
    dispatch_semaphore_wait(done, DISPATCH_TIME_FOREVER);
    return given;
}

static FSVFilterSettings *readSettings(NSString *json) {
    NSError *error = nil;
    NSData *text = [json dataUsingEncoding:NSUTF8StringEncoding];
    FSVFilterSettings *settings = [[FSVFilterSettings alloc] initWithJSON:text error:&error];
    EXPECT(settings != nil && error == nil);
    return settings;
}

static void expectRule(NEFilterRule *rule, const char *text, NEFilterAction action) {
    const char *said = StubTextOfRule(rule.networkRule).UTF8String;
    EXPECT(rule.action == action && strcmp(said, text) == 0);
    if (strcmp(said, text) != 0) {
        fprintf(stderr, "said:     %s\nexpected: %s\n", said, text);
    }
}

static BOOL isMacOS15(void) {
    if (@available(macOS 15.0, *)) {
        return YES;
    }
    return NO;
}

static BOOL isAskedAbout(NEFilterNewFlowVerdict *verdict) {
    return verdict.stubKind == StubVerdictFilterData && verdict.stubPeekInbound == NEFilterFlowBytesMax &&
           verdict.stubPeekOutbound == NEFilterFlowBytesMax;
}

static BOOL isWaitedFor(NEFilterNewFlowVerdict *verdict) {
    return verdict.stubKind == StubVerdictFilterData && verdict.stubPeekInbound == 1 &&
           verdict.stubPeekOutbound == 1;
}

static StubVerdict dataOf(FSVFilterDataProvider *provider, NEFilterSocketFlow *flow) {
    NSData *data = [NSData dataWithBytes:"\x16" length:1];
    return [provider handleOutboundDataFromFlow:flow readBytesStartOffset:0 readBytes:data].stubKind;
}

#pragma mark Tests

static NSString *const story =
    @"{\"rules\": [{\"networkRule\": {\"remoteNetwork\": {\"hostname\": \"111.111.111.111\", \"port\": \"0\"},"
     "\"remotePrefix\": 32, \"localNetwork\": null, \"localPrefix\": 0, \"protocol\": \"TCP\","
     "\"direction\": \"outbound\"}, \"action\": \"filterData\"}], \"defaultAction\": \"allow\"}";

#define DROP_FROM_ONE_ADDRESS                                                                          \
    @"{\"rules\": [{\"networkRule\": {\"remoteNetwork\": null, \"remotePrefix\": 0, \"localNetwork\":"   \
     "{\"hostname\": \"192.168.1.5\", \"port\": \"0\"}, \"localPrefix\": 32, \"protocol\": \"TCP\","    \
     "\"direction\": \"outbound\"}, \"action\": \"drop\"}], \"defaultAction\": "

static NSString *const dropFromOneAddress = DROP_FROM_ONE_ADDRESS "\"allow\"}";
static NSString *const dropFromOneAddressAndFilter = DROP_FROM_ONE_ADDRESS "\"filterData\"}";

static void outgoingTCPToOneHostIsAskedAboutAndNothingElseIs(void) {
    TestProvider *provider = [[TestProvider alloc] init];
    EXPECT(start(provider, story) == nil);
    NEFilterSettings *applied = provider.stubApplied;
    EXPECT(applied.rules.count == 1 && applied.defaultAction == NEFilterActionAllow);
    expectRule(applied.rules[0], "remote 111.111.111.111/32 port 0, local any, protocol 1, direction 2",
               NEFilterActionFilterData);

    NEFilterSocketFlow *flow = makeFlow((End){"111.111.111.111", 80}, unbound);
    EXPECT(isAskedAbout([provider handleNewFlow:flow]));
    setEnd(flow, NO, (End){"192.168.1.5", 50000});
    EXPECT(dataOf(provider, flow) == StubVerdictAllow);
    flow = makeFlow((End){"111.222.111.222", 80}, unbound);
    EXPECT([provider handleNewFlow:flow].stubKind == StubVerdictAllow);
    flow = makeFlow((End){"111.111.111.111", 80}, unbound);
    flow.socketProtocol = 17;
    EXPECT([provider handleNewFlow:flow].stubKind == StubVerdictAllow);
    FSVFilterStatistics counts = provider.statistics;
    EXPECT(counts.generation == 1 && counts.hits.by_rule == 2 && counts.hits.by_default == 2);
    EXPECT(counts.waited == 0 && counts.failed == 0);
}

static void outboundTCPIsWaitedForUntilItIsBound(void) {
    TestProvider *provider = [[TestProvider alloc] init];
    provider.sendsEverything = YES;
    EXPECT(start(provider, dropFromOneAddress) == nil);
    EXPECT(provider.stubApplied.defaultAction == NEFilterActionFilterData);
    struct {
        End local;
        StubVerdict verdict;
    } cases[] = {
        {{"192.168.1.5", 50000}, StubVerdictDrop},
        {{"10.0.0.2", 50000}, StubVerdictAllow},
        // Still not known: the answer for now.
        {{"0.0.0.0", 0}, StubVerdictAllow},
    };
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        NEFilterSocketFlow *flow = makeFlow((End){"198.51.100.7", 443}, unbound);
        EXPECT(isWaitedFor([provider handleNewFlow:flow]));
        setEnd(flow, NO, cases[index].local);
        EXPECT(dataOf(provider, flow) == cases[index].verdict);
        EXPECT([provider handleInboundDataCompleteForFlow:flow].stubKind == cases[index].verdict);
    }
    // What is known at once is not waited for.
    NEFilterSocketFlow *bound = makeFlow((End){"198.51.100.7", 443}, (End){"192.168.1.5", 50000});
    EXPECT([provider handleNewFlow:bound].stubKind == StubVerdictDrop);
    EXPECT(provider.statistics.waited == 3);
}

/// Of the framework's own accord loopback flows do not reach the extension (S-64).
static void everythingIsSentLoopbackToo(void) {
    TestProvider *provider = [[TestProvider alloc] init];
    provider.sendsEverything = YES;
    EXPECT(start(provider, story) == nil);
    EXPECT(provider.stubApplied.rules.count == 4);
    static const char *const texts[] = {
        "remote 127.0.0.1/32 port 0, local any, protocol 0, direction 0",
        "remote any, local 127.0.0.1/32 port 0, protocol 0, direction 0",
        "remote ::1 scope 0/128 port 0, local any, protocol 0, direction 0",
        "remote any, local ::1 scope 0/128 port 0, protocol 0, direction 0",
    };
    for (NSUInteger index = 0; index < provider.stubApplied.rules.count; index++) {
        expectRule(provider.stubApplied.rules[index], texts[index], NEFilterActionFilterData);
    }
}

#define RULE(remote, prefix, local, localPrefix, protocol, direction, action)                          \
    "{\"networkRule\": {\"remoteNetwork\": " remote ", \"remotePrefix\": " prefix ", \"localNetwork\": " local       \
    ", \"localPrefix\": " localPrefix ", \"protocol\": \"" protocol "\", \"direction\": \"" direction            \
    "\"}, \"action\": \"" action "\"}"
#define END(host, port) "{\"hostname\": \"" host "\", \"port\": \"" port "\"}"

/// The texts are the same on macOS 15 and before; so the rules are.
static void bothFormsOfRulesSayTheSame(void) {
    FSVFilterSettings *settings = readSettings(
        @"{\"rules\": [{\"networkRule\": {\"destinationHost\": " END("example.com", "443")
         ", \"protocol\": \"TCP\"}, \"action\": \"drop\"},"
         RULE(END("10.0.0.0", "443"), "8", "null", "0", "UDP", "outbound", "allow") ","
         RULE("null", "0", END("::1", "0"), "128", "any", "inbound", "filterData") ","
         RULE(END("fe80::1%lo", "0"), "64", END("0.0.0.0", "22"), "0", "TCP", "any", "drop") ","
         RULE("null", "0", "null", "0", "any", "any", "allow") "], \"defaultAction\": \"drop\"}");
    NSError *error = nil;
    NEFilterSettings *made = [settings frameworkSettingsWithError:&error];
    EXPECT(error == nil && made.rules.count == 5 && made.defaultAction == NEFilterActionDrop);
    expectRule(made.rules[0], "host example.com port 443, protocol 1", NEFilterActionDrop);
    expectRule(made.rules[1], "remote 10.0.0.0/8 port 443, local any, protocol 2, direction 2",
               NEFilterActionAllow);
    expectRule(made.rules[2], "remote any, local ::1 scope 0/128 port 0, protocol 0, direction 1",
               NEFilterActionFilterData);
    expectRule(made.rules[3],
               "remote fe80::1 scope 1/64 port 0, local 0.0.0.0/0 port 22, protocol 1, direction 0",
               NEFilterActionDrop);
    expectRule(made.rules[4], "remote any, local any, protocol 0, direction 0", NEFilterActionAllow);
    for (NSUInteger index = 0; index < made.rules.count; index++) {
        EXPECT(made.rules[index].networkRule.stubTookHostEndpoints == !isMacOS15());
    }
}

static void expectLines(const char *subsystem, const char *category, const char *lines) {
    char *logged = StubLoggedLines(subsystem, category);
    EXPECT(strcmp(logged, lines) == 0);
    if (strcmp(logged, lines) != 0) {
        fprintf(stderr, "logged:%s\nexpected:%s\n", logged, lines);
    }
    free(logged);
}

static void whatIsLoggedIsLogged(void) {
    TestProvider *provider = [[TestProvider alloc] init];
    provider.category = "quiet";
    EXPECT(start(provider, story) == nil);
    NEFilterSocketFlow *flow = makeFlow((End){"111.111.111.111", 80}, unbound);
    (void)[provider handleNewFlow:flow];
    expectLines("test", "quiet", "\ngeneration 1: 1 rules, first stage of 1");

    provider = [[TestProvider alloc] init];
    provider.category = "flows";
    provider.logsEachFlow = YES;
    EXPECT(start(provider, story) == nil);
    (void)[provider handleNewFlow:flow];
    flow.socketProtocol = 17;
    (void)[provider handleNewFlow:flow];
    flow.socketProtocol = 256;
    (void)[provider handleNewFlow:flow];
    (void)[provider handleNewFlow:[[NEFilterFlow alloc] init]];
#define NEW_FLOW                                                                                       \
    "\nGot a new flow with local endpoint <private>, remote endpoint <private>, direction outbound"
    expectLines("test", "flows",
                "\ngeneration 1: 1 rules, first stage of 1" NEW_FLOW "\naction filterData, rule 0" NEW_FLOW
                "\naction allow, rule none"
                "\n1 flows could not be decided, now: the flow contradicts itself, or knows what this library does "
                "not" NEW_FLOW
                "\naction drop, rule none");
}

static void aFlowIsDecidedWithoutAVerdict(void) {
    TestProvider *provider = [[TestProvider alloc] init];
    EXPECT(start(provider, story) == nil);
    NEFilterSocketFlow *flow = makeFlow((End){"111.111.111.111", 80}, unbound);
    fsv_decision decision;
    [provider decideFlow:flow decision:&decision];
    EXPECT(decision.action == FSV_ACTION_FILTER_DATA && decision.rule == 0 && decision.generation == 1);
    flow.socketProtocol = 256;
    [provider decideFlow:flow decision:&decision];
    EXPECT(decision.action == FSV_ACTION_DROP && decision.reason == FSV_REASON_NONE);
    EXPECT(decision.rule == FSV_NO_RULE && decision.is_final);
    EXPECT(provider.statistics.failed == 1);
}

static void aFlowThatWaitedIsFilteredAsOneThatDidNot(void) {
    TestProvider *provider = [[TestProvider alloc] init];
    provider.sendsEverything = YES;
    EXPECT(start(provider, dropFromOneAddressAndFilter) == nil);
    struct {
        fsv_action filtered;
        StubVerdict verdict;
    } cases[] = {{FSV_ACTION_DROP, StubVerdictDrop}, {FSV_ACTION_ALLOW, StubVerdictAllow}};
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        provider.filtered = cases[index].filtered;
        NEFilterSocketFlow *bound = makeFlow((End){"198.51.100.7", 443}, (End){"10.0.0.2", 50000});
        EXPECT([provider handleNewFlow:bound].stubKind == cases[index].verdict);
        NEFilterSocketFlow *flow = makeFlow((End){"198.51.100.7", 443}, unbound);
        EXPECT(isWaitedFor([provider handleNewFlow:flow]));
        setEnd(flow, NO, (End){"10.0.0.2", 50000});
        EXPECT(dataOf(provider, flow) == cases[index].verdict);
        // Nor does one pass that ends before there is data.
        EXPECT([provider handleOutboundDataCompleteForFlow:flow].stubKind == cases[index].verdict);
    }
}

static void failuresToBeFilteredAreAskedAboutAndOtherKindsDropped(void) {
    failureAction = FSV_ACTION_FILTER_DATA;
    TestProvider *provider = [[TestProvider alloc] init];
    EXPECT(start(provider, story) == nil);
    NEFilterSocketFlow *flow = makeFlow((End){"198.51.100.7", 443}, unbound);
    flow.socketProtocol = 256;
    EXPECT(isAskedAbout([provider handleNewFlow:flow]));
    provider.filtered = FSV_ACTION_DROP;
    EXPECT([provider handleNewFlow:flow].stubKind == StubVerdictDrop);
    EXPECT(dataOf(provider, flow) == StubVerdictDrop);
    provider.filtered = FSV_ACTION_FILTER_DATA;
    EXPECT([provider handleNewFlow:[[NEFilterFlow alloc] init]].stubKind == StubVerdictDrop);

    // No action at all: no matcher is made, and nothing passes.
    failureAction = (fsv_action)9;
    provider = [[TestProvider alloc] init];
    EXPECT(start(provider, story) != nil);
    EXPECT([provider handleNewFlow:makeFlow((End){"198.51.100.7", 443}, unbound)].stubKind == StubVerdictDrop);
    failureAction = FSV_ACTION_DROP;
}

static void aFirstStageThatIsNotMadeIsAnError(void) {
    TestProvider *provider = [[TestProvider alloc] init];
    provider.hasNoFirstStage = YES;
    EXPECT(start(provider, story).code == FSV_STATUS_INVALID_SETTINGS);
    EXPECT(provider.stubApplied == nil);
    fsv_matcher *matcher = NULL;
    EXPECT([provider getMatcher:&matcher] == FSV_STATUS_OK && fsv_matcher_generation(matcher) == 0);
    fsv_matcher_free(matcher);
}

static void aNameIsReadFromTheFlowAndFromItsEndpoint(void) {
    TestProvider *provider = [[TestProvider alloc] init];
    EXPECT(start(provider, @"{\"rules\": [{\"networkRule\": {\"destinationHost\": {\"hostname\":"
                            "\"example.com\", \"port\": \"443\"}, \"protocol\": \"TCP\"},"
                            "\"action\": \"drop\"}], \"defaultAction\": \"allow\"}") == nil);
    EXPECT(provider.stubApplied.rules[0].networkRule.stubIsHostRule);
    NEFilterSocketFlow *flow = makeFlow((End){"93.184.216.34", 443}, unbound);
    flow.remoteHostname = @"a.host.of.some.length.example.com";
    EXPECT([provider handleNewFlow:flow].stubKind == StubVerdictDrop);
    flow.remoteHostname = @"www.example.org";
    EXPECT([provider handleNewFlow:flow].stubKind == StubVerdictAllow);
    // Without a name it is not final, but nothing comes that could be waited for.
    flow.remoteHostname = nil;
    EXPECT([provider handleNewFlow:flow].stubKind == StubVerdictAllow);
    flow = makeFlow((End){"www.example.com", 443}, unbound);
    EXPECT([provider handleNewFlow:flow].stubKind == StubVerdictDrop);
    EXPECT(provider.statistics.waited == 0);
}

static void aNameLivesAsLongAsWhatWasReturnedWithIt(void) {
    NEFilterSocketFlow *flow = nil;
    fsv_flow ofFlow = FSV_FLOW_INIT, ofEndpoint = FSV_FLOW_INIT;
    NSObject *names = nil, *others = nil;
    @autoreleasepool {
        flow = makeFlow((End){"from.the.endpoint.example.com", 443}, unbound);
        EXPECT(FSVReadFlow(flow, &ofEndpoint, &others) == FSV_STATUS_OK);
        flow.remoteHostname = [NSString stringWithUTF8String:"from.the.flow.example.com"];
        EXPECT(FSVReadFlow(flow, &ofFlow, &names) == FSV_STATUS_OK);
        flow.remoteEndpoint = nil;
        flow.remoteFlowEndpoint = nil;
        flow.remoteHostname = nil;
    }
    EXPECT(ofFlow.remote_hostname_len == 25 && ofEndpoint.remote_hostname_len == 29);
    EXPECT(memcmp(ofFlow.remote_hostname, "from.the.flow.example.com", 25) == 0);
    EXPECT(memcmp(ofEndpoint.remote_hostname, "from.the.endpoint.example.com", 29) == 0);
    (void)[names self];
    (void)[others self];
}

/// Socket addresses number interfaces, rules name them.
static void aScopeIsReadAsTheNameOfItsInterface(void) {
    FSVFilterSettings *settings =
        readSettings(@"{\"rules\": [{\"networkRule\": {\"remoteNetwork\": {\"hostname\": \"fe80::1%lo\","
                      "\"port\": \"0\"}, \"remotePrefix\": 128, \"localNetwork\": null, \"localPrefix\": 0,"
                      "\"protocol\": \"any\", \"direction\": \"any\"}, \"action\": \"drop\"}],"
                      "\"defaultAction\": \"allow\"}");
    TestProvider *provider = [[TestProvider alloc] init];
    EXPECT(reload(provider, settings) == nil);
    struct {
        const char *text;
        uint32_t index;
        StubVerdict verdict;
    } cases[] = {{"fe80::1%lo", 1, StubVerdictDrop}, {"fe80::1%en9", 999, StubVerdictAllow}};
    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        NEFilterSocketFlow *flow = makeFlow((End){"fe80::1", 443}, (End){"fe80::2", 50000});
        flow.remoteEndpoint = [NWHostEndpoint endpointWithHostname:@(cases[index].text) port:@"443"];
        flow.remoteFlowEndpoint = StubAddressEndpoint("fe80::1", 443, cases[index].index);
        EXPECT([provider handleNewFlow:flow].stubKind == cases[index].verdict);
    }
}

static void whatCannotBeDecidedIsDroppedAndCounted(void) {
    TestProvider *provider = [[TestProvider alloc] init];
    // Nothing is in force yet.
    NEFilterSocketFlow *flow = makeFlow((End){"198.51.100.7", 443}, unbound);
    EXPECT([provider handleNewFlow:flow].stubKind == StubVerdictDrop);
    EXPECT(start(provider, story) == nil);
    EXPECT([provider handleNewFlow:flow].stubKind == StubVerdictAllow);
    // A Bonjour service is neither address nor name; a number over 255 is no protocol.
    flow.remoteEndpoint = [[NWEndpoint alloc] init];
    flow.remoteFlowEndpoint = StubEndpointOfType(nw_endpoint_type_bonjour_service, "printer", 0);
    EXPECT([provider handleNewFlow:flow].stubKind == StubVerdictDrop);
    EXPECT(dataOf(provider, flow) == StubVerdictDrop);
    flow = makeFlow((End){"198.51.100.7", 443}, unbound);
    flow.socketProtocol = 256;
    EXPECT([provider handleNewFlow:flow].stubKind == StubVerdictDrop);
    EXPECT(provider.statistics.failed == 3);
    EXPECT([provider handleNewFlow:[[NEFilterFlow alloc] init]].stubKind == StubVerdictDrop);
    EXPECT(provider.statistics.otherKinds == 1);
    // An endpoint that is not there is not known yet, and that is no failure.
    flow = makeFlow((End){"198.51.100.7", 443}, unbound);
    flow.remoteEndpoint = flow.localEndpoint = nil;
    flow.remoteFlowEndpoint = flow.localFlowEndpoint = nil;
    EXPECT([provider handleNewFlow:flow].stubKind == StubVerdictAllow);
    EXPECT(provider.statistics.failed == 3);
}

/// Of text that is no Unicode, and of endpoints that lack what their type has.
static void endpointsWithoutTextAreDropped(void) {
    TestProvider *provider = [[TestProvider alloc] init];
    EXPECT(start(provider, story) == nil);
    const End remote = {"198.51.100.7", 443}, local = {"192.168.1.5", 50000};
    NSString *none = [[NSString alloc] init];
    EXPECT(none.UTF8String == NULL);
    NWHostEndpoint *const old[] = {[NWHostEndpoint endpointWithHostname:none port:@"443"],
                                   [NWHostEndpoint endpointWithHostname:@"10.0.0.1" port:none]};
    const nw_endpoint_type_t types[] = {nw_endpoint_type_host, nw_endpoint_type_address};
    for (size_t index = 0; index < 4; index++) {
        NEFilterSocketFlow *flow = makeFlow(remote, local);
        if (index < 2) {
            flow.remoteEndpoint = old[index % 2];
            flow.remoteFlowEndpoint = StubEndpointOfType(types[index % 2], NULL, 443);
        } else {
            flow.localEndpoint = old[index % 2];
            flow.localFlowEndpoint = StubEndpointOfType(types[index % 2], NULL, 443);
        }
        EXPECT([provider handleNewFlow:flow].stubKind == StubVerdictDrop);
        fsv_flow read = FSV_FLOW_INIT;
        NSObject *names = nil;
        EXPECT(FSVReadFlow(flow, &read, &names) == (isMacOS15() ? FSV_STATUS_INVALID_FLOW : FSV_STATUS_NOT_UTF8));
    }
    NEFilterSocketFlow *flow = makeFlow(remote, local);
    flow.remoteHostname = none;
    EXPECT([provider handleNewFlow:flow].stubKind == StubVerdictDrop);
    EXPECT(provider.statistics.failed == 5);
}

static void settingsThatCannotBeReadSayWhere(void) {
    TestProvider *provider = [[TestProvider alloc] init];
    NSError *error =
        start(provider, @"{\"rules\": [\n {\"networkRule\": {\"destinationNetwork\": \"10.0.0.1\","
                         "\"destinationPrefix\": 33, \"protocol\": \"TCP\"}, \"action\": \"drop\"}]}");
    EXPECT(strcmp(error.domain.UTF8String, FSVErrorDomain.UTF8String) == 0);
    EXPECT(error.code == FSV_STATUS_INVALID_SETTINGS);
    EXPECT(strstr(error.localizedDescription.UTF8String, "prefix length 33 exceeds 32") != NULL);
    EXPECT([(NSNumber *)error.userInfo[FSVErrorLineKey] unsignedLongLongValue] == 2);
    EXPECT([(NSNumber *)error.userInfo[FSVErrorColumnKey] unsignedLongLongValue] > 1);
    EXPECT(error.userInfo[FSVErrorRuleKey] != nil);
    EXPECT(provider.stubApplied == nil);

    provider = [[TestProvider alloc] init];
    provider.filterConfiguration.vendorConfiguration = nil;
    __block NSError *missing = nil;
    [provider startFilterWithCompletionHandler:^(NSError *_Nullable given) {
        missing = given;
    }];
    EXPECT(missing.code == FSV_STATUS_INVALID_SETTINGS);
}

static void aRefusedFirstStagePutsTheFormerSettingsBack(void) {
    TestProvider *provider = [[TestProvider alloc] init];
    EXPECT(start(provider, story) == nil);
    NEFilterSettings *first = provider.stubApplied;
    provider.stubRefusal = [NSError errorWithDomain:@"test" code:7 userInfo:nil];
    EXPECT(reload(provider, readSettings(@"{\"rules\": [], \"defaultAction\": \"drop\"}")).code == 7);
    EXPECT(provider.stubApplied == first);
    EXPECT([provider handleNewFlow:makeFlow((End){"198.51.100.7", 443}, unbound)].stubKind == StubVerdictAllow);
    provider.stubRefusal = nil;
    EXPECT(reload(provider, readSettings(@"{\"rules\": [], \"defaultAction\": \"drop\"}")) == nil);
    EXPECT([provider handleNewFlow:makeFlow((End){"198.51.100.7", 443}, unbound)].stubKind == StubVerdictDrop);
    __block BOOL isStopped = NO;
    [provider stopFilterWithReason:NEProviderStopReasonUserInitiated
                 completionHandler:^{
                     isStopped = YES;
                 }];
    EXPECT(isStopped);
}

static BOOL isReached(BOOL (^condition)(void)) {
    for (int wait = 0; wait < 5000 && !condition(); wait++) {
        usleep(1000);
    }
    return condition();
}

static void stop(FSVFilterDataProvider *provider) {
    [provider stopFilterWithReason:NEProviderStopReasonUserInitiated
                 completionHandler:^{
                 }];
}

static void aStopEndsReloadsThatTheFrameworkDoesNotAnswer(void) {
    TestProvider *provider = [[TestProvider alloc] init];
    provider.sendsEverything = YES;
    EXPECT(start(provider, story) == nil);
    FSVFilterSettings *open = readSettings(@"{\"rules\": [], \"defaultAction\": \"allow\"}");
    FSVFilterSettings *closed = readSettings(@"{\"rules\": [], \"defaultAction\": \"drop\"}");
    provider.stubIsSilent = YES;
    __block int ended = 0, stopped = 0;
    dispatch_semaphore_t one = dispatch_semaphore_create(1);
    for (int index = 0; index < 3; index++) {
        [provider reloadSettings:open
               completionHandler:^(NSError *_Nullable error) {
                   dispatch_semaphore_wait(one, DISPATCH_TIME_FOREVER);
                   ended++;
                   stopped += strcmp(error.domain.UTF8String, FSVReloadErrorDomain.UTF8String) == 0 &&
                              error.code == FSVReloadErrorStopped;
                   dispatch_semaphore_signal(one);
               }];
    }
    EXPECT(isReached(^{ return (BOOL)(provider.stubUnanswered != nil); }));
    stop(provider);
    EXPECT(isReached(^{ return (BOOL)(ended == 3); }) && stopped == 3);
    if (ended != 3) {
        return;
    }
    // The next works, and what the framework says of the first then puts nothing back.
    provider.stubIsSilent = NO;
    EXPECT(reload(provider, closed) == nil);
    uint64_t generation = provider.statistics.generation;
    provider.stubUnanswered([NSError errorWithDomain:@"late" code:1 userInfo:nil]);
    provider.stubUnanswered = nil;
    EXPECT(reload(provider, closed) == nil);
    NEFilterSocketFlow *flow = makeFlow((End){"198.51.100.7", 443}, unbound);
    EXPECT([provider handleNewFlow:flow].stubKind == StubVerdictDrop);
    EXPECT(provider.statistics.generation == generation + 1 && ended == 3);
    // A start is ended as well.
    provider.stubIsSilent = YES;
    __block NSError *notStarted = nil;
    [provider startFilterWithCompletionHandler:^(NSError *_Nullable error) {
        notStarted = error;
    }];
    EXPECT(isReached(^{ return (BOOL)(provider.stubUnanswered != nil); }));
    stop(provider);
    EXPECT(isReached(^{ return (BOOL)(notStarted != nil); }) && notStarted.code == FSVReloadErrorStopped);
    provider.stubUnanswered(nil);
    provider.stubUnanswered = nil;
    // What was put in force without an answer is not what a refusal puts back.
    provider.stubIsSilent = NO;
    provider.stubRefusal = [NSError errorWithDomain:@"test" code:7 userInfo:nil];
    EXPECT(reload(provider, open).code == 7);
    EXPECT([provider handleNewFlow:flow].stubKind == StubVerdictDrop);
}

/// For instance a reload from within the handler of another.
static void aHandlerMayWaitForAnotherReload(void) {
    TestProvider *provider = [[TestProvider alloc] init];
    EXPECT(start(provider, story) == nil);
    FSVFilterSettings *settings = readSettings(@"{\"rules\": [], \"defaultAction\": \"drop\"}");
    __block BOOL isDone = NO;
    [provider reloadSettings:settings
           completionHandler:^(NSError *_Nullable first) {
               NSError *second = reload(provider, settings);
               isDone = first == nil && second == nil;
           }];
    EXPECT(isReached(^{ return isDone; }));
}

static void hostNamesInNetworksAreReadOnRequestAndNotGivenToTheFramework(void) {
    NSData *text = [@"{\"rules\": [" RULE(END("example.com", "443"), "0", "null", "0", "any", "outbound", "drop")
                     "], \"defaultAction\": \"allow\"}" dataUsingEncoding:NSUTF8StringEncoding];
    NSError *error = nil;
    EXPECT([[FSVFilterSettings alloc] initWithJSON:text error:&error] == nil && error != nil);
    error = nil;
    FSVFilterSettings *settings = [[FSVFilterSettings alloc] initWithJSON:text
                                                                    flags:FSV_PARSE_HOSTNAME_IN_NETWORK
                                                                    error:&error];
    EXPECT(settings != nil && error == nil);
    EXPECT([settings frameworkSettingsWithError:&error] == nil && error.code == FSV_STATUS_INVALID_HOST);
    TestProvider *provider = [[TestProvider alloc] init];
    EXPECT(reload(provider, settings) == nil);
    NEFilterSocketFlow *flow = makeFlow((End){"www.example.com", 443}, unbound);
    EXPECT([provider handleNewFlow:flow].stubKind == StubVerdictDrop);
}

static void portRangesAreNotGivenToTheFramework(void) {
    FSVFilterSettings *settings = readSettings(
        @"{\"rules\": [" RULE(END("10.0.0.0", "1-9"), "8", "null", "0", "any", "outbound", "drop")
         "], \"defaultAction\": \"allow\"}");
    NSError *error = nil;
    EXPECT([settings frameworkSettingsWithError:&error] == nil && error.code == FSV_STATUS_INVALID_PORT);
}

static void aDirectionThatIsNotKnownIsDropped(void) {
    TestProvider *provider = [[TestProvider alloc] init];
    EXPECT(start(provider, story) == nil);
    // The last is 0 in a byte.
    const NETrafficDirection directions[] = {(NETrafficDirection)3, (NETrafficDirection)-1, (NETrafficDirection)256};
    for (size_t index = 0; index < 3; index++) {
        NEFilterSocketFlow *flow = makeFlow((End){"198.51.100.7", 443}, unbound);
        flow.direction = directions[index];
        EXPECT([provider handleNewFlow:flow].stubKind == StubVerdictDrop);
    }
    EXPECT(provider.statistics.failed == 3);
}

static void moreThan1000RulesArePlanned(void) {
    fsv_settings *many = NULL;
    EXPECT(fsv_settings_new(FSV_ACTION_ALLOW, &many) == FSV_STATUS_OK);
    for (int index = 0; index < 1100; index++) {
        char host[32];
        snprintf(host, sizeof host, "10.1.%d.%d", index / 100, index % 100 * 2);
        fsv_endpoint network = {host, strlen(host), "0", 1};
        EXPECT(fsv_settings_add_destination_network(many, &network, 32, FSV_PROTOCOL_ANY, FSV_ACTION_DROP, NULL,
                                                    0, NULL) == FSV_STATUS_OK);
    }
    TestProvider *provider = [[TestProvider alloc] init];
    EXPECT(reload(provider, [[FSVFilterSettings alloc] initWithHandle:many]) == nil);
    EXPECT(provider.stubApplied.rules.count > 0 && provider.stubApplied.rules.count <= 1000);
    EXPECT([provider handleNewFlow:makeFlow((End){"10.1.10.198", 443}, unbound)].stubKind == StubVerdictDrop);
    EXPECT([provider handleNewFlow:makeFlow((End){"10.1.10.197", 443}, unbound)].stubKind == StubVerdictAllow);
}

#define TEST(name) {#name, name}

int main(void) {
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {
        TEST(outgoingTCPToOneHostIsAskedAboutAndNothingElseIs),
        TEST(outboundTCPIsWaitedForUntilItIsBound),
        TEST(everythingIsSentLoopbackToo),
        TEST(bothFormsOfRulesSayTheSame),
        TEST(whatIsLoggedIsLogged),
        TEST(aFlowIsDecidedWithoutAVerdict),
        TEST(aFlowThatWaitedIsFilteredAsOneThatDidNot),
        TEST(failuresToBeFilteredAreAskedAboutAndOtherKindsDropped),
        TEST(aFirstStageThatIsNotMadeIsAnError),
        TEST(aNameIsReadFromTheFlowAndFromItsEndpoint),
        TEST(aNameLivesAsLongAsWhatWasReturnedWithIt),
        TEST(aScopeIsReadAsTheNameOfItsInterface),
        TEST(whatCannotBeDecidedIsDroppedAndCounted),
        TEST(endpointsWithoutTextAreDropped),
        TEST(settingsThatCannotBeReadSayWhere),
        TEST(aRefusedFirstStagePutsTheFormerSettingsBack),
        TEST(aStopEndsReloadsThatTheFrameworkDoesNotAnswer),
        TEST(aHandlerMayWaitForAnotherReload),
        TEST(hostNamesInNetworksAreReadOnRequestAndNotGivenToTheFramework),
        TEST(portRangesAreNotGivenToTheFramework),
        TEST(aDirectionThatIsNotKnownIsDropped),
        TEST(moreThan1000RulesArePlanned),
    };
    size_t count = sizeof tests / sizeof *tests;
    for (size_t index = 0; index < count; index++) {
        running = tests[index].name;
        @autoreleasepool {
            tests[index].run();
        }
        // A reload is over some moments after its handler was called.
        for (int wait = 0; wait < 1000 && StubObjectCount() != 0; wait++) {
            usleep(1000);
        }
        EXPECT(StubObjectCount() == 0);
    }
    if (failures == 0) {
        printf("Objective-C: %zu tests passed\n", count);
    }
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
