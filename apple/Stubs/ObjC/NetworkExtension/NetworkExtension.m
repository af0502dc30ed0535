// The stubs of NetworkExtension and Network, to run the Objective-C shim on Linux. They keep what they are given.
#import "Stubs.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

@interface StubEndpoint : NSObject <OS_nw_endpoint> {
  @public
    nw_endpoint_type_t _type;
    char _hostname[300];
    BOOL _isEmpty;
    uint16_t _port;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } _address;
}
@end

@implementation StubEndpoint
@end

nw_endpoint_t StubAddressEndpoint(const char *address, uint16_t port, uint32_t scope) {
    StubEndpoint *made = (StubEndpoint *)StubEndpointOfType(nw_endpoint_type_address, "", port);
    if (inet_pton(AF_INET, address, &made->_address.v4.sin_addr) == 1) {
        made->_address.v4.sin_family = AF_INET;
        made->_address.v4.sin_port = htons(port);
    } else {
        made->_address.v6.sin6_family = AF_INET6;
        made->_address.v6.sin6_port = htons(port);
        made->_address.v6.sin6_scope_id = scope;
        inet_pton(AF_INET6, address, &made->_address.v6.sin6_addr);
    }
    return made;
}

nw_endpoint_t StubEndpointOfType(nw_endpoint_type_t type, const char *_Nullable hostname, uint16_t port) {
    StubEndpoint *made = [[StubEndpoint alloc] init];
    made->_type = type;
    made->_port = port;
    made->_isEmpty = hostname == NULL;
    strncpy(made->_hostname, hostname == NULL ? "" : (const char *)hostname, sizeof made->_hostname - 1);
    return made;
}

/// An address where the text is one, with an interface that there is; a name otherwise.
nw_endpoint_t nw_endpoint_create_host(const char *hostname, const char *port) {
    char address[300] = {0};
    unsigned char bytes[16];
    strncpy(address, hostname, sizeof address - 1);
    char *zone = strchr(address, '%');
    if (zone != NULL) {
        *zone++ = 0;
    }
    uint32_t scope = zone == NULL ? 0 : if_nametoindex(zone);
    BOOL isIPv6 = inet_pton(AF_INET6, address, bytes) == 1 && (zone == NULL || scope != 0);
    BOOL isIPv4 = inet_pton(AF_INET, address, bytes) == 1 && zone == NULL;
    uint16_t number = (uint16_t)atoi(port);
    return isIPv6 || isIPv4 ? StubAddressEndpoint(address, number, scope)
                            : StubEndpointOfType(nw_endpoint_type_host, hostname, number);
}

nw_endpoint_type_t nw_endpoint_get_type(nw_endpoint_t endpoint) {
    return ((StubEndpoint *)endpoint)->_type;
}

const char *nw_endpoint_get_hostname(nw_endpoint_t endpoint) {
    StubEndpoint *made = (StubEndpoint *)endpoint;
    return made->_isEmpty ? NULL : made->_hostname;
}

uint16_t nw_endpoint_get_port(nw_endpoint_t endpoint) {
    return ((StubEndpoint *)endpoint)->_port;
}

const struct sockaddr *nw_endpoint_get_address(nw_endpoint_t endpoint) {
    StubEndpoint *made = (StubEndpoint *)endpoint;
    return made->_isEmpty ? NULL : &made->_address.any;
}

@implementation NWEndpoint
@end

@implementation NWHostEndpoint {
    NSString *_hostname;
    NSString *_port;
}

+ (instancetype)endpointWithHostname:(NSString *)hostname port:(NSString *)port {
    NWHostEndpoint *made = [[self alloc] init];
    made->_hostname = [hostname copy];
    made->_port = [port copy];
    return made;
}

@end

static nw_endpoint_t _Nullable ofHostEndpoint(NWHostEndpoint *_Nullable endpoint) {
    return endpoint == nil ? nil
                           : nw_endpoint_create_host((const char *)endpoint.hostname.UTF8String,
                                                     (const char *)endpoint.port.UTF8String);
}

@implementation NENetworkRule

- (instancetype)initWithDestinationHostEndpoint:(nw_endpoint_t)hostEndpoint
                                       protocol:(NENetworkRuleProtocol)protocol {
    self = [self initWithRemoteNetworkEndpoint:hostEndpoint
                                  remotePrefix:0
                          localNetworkEndpoint:nil
                                   localPrefix:0
                                      protocol:protocol
                                     direction:NETrafficDirectionOutbound];
    self.stubIsHostRule = YES;
    return self;
}

- (instancetype)initWithDestinationHost:(NWHostEndpoint *)hostEndpoint
                               protocol:(NENetworkRuleProtocol)protocol {
    nw_endpoint_t endpoint = ofHostEndpoint(hostEndpoint);
    self = [self initWithDestinationHostEndpoint:(nw_endpoint_t _Nonnull)endpoint protocol:protocol];
    self.stubTookHostEndpoints = YES;
    return self;
}

- (instancetype)initWithRemoteNetworkEndpoint:(nw_endpoint_t)remoteNetwork
                                 remotePrefix:(NSUInteger)remotePrefix
                         localNetworkEndpoint:(nw_endpoint_t)localNetwork
                                  localPrefix:(NSUInteger)localPrefix
                                     protocol:(NENetworkRuleProtocol)protocol
                                    direction:(NETrafficDirection)direction {
    self = [super init];
    self.stubRemote = remoteNetwork;
    self.stubRemotePrefix = remotePrefix;
    self.stubLocalPrefix = localPrefix;
    self.stubLocal = localNetwork;
    self.stubProtocol = protocol;
    self.stubDirection = direction;
    return self;
}

- (instancetype)initWithRemoteNetwork:(NWHostEndpoint *)remoteNetwork
                         remotePrefix:(NSUInteger)remotePrefix
                         localNetwork:(NWHostEndpoint *)localNetwork
                          localPrefix:(NSUInteger)localPrefix
                             protocol:(NENetworkRuleProtocol)protocol
                            direction:(NETrafficDirection)direction {
    self = [self initWithRemoteNetworkEndpoint:ofHostEndpoint(remoteNetwork)
                                  remotePrefix:remotePrefix
                          localNetworkEndpoint:ofHostEndpoint(localNetwork)
                                   localPrefix:localPrefix
                                      protocol:protocol
                                     direction:direction];
    self.stubTookHostEndpoints = YES;
    return self;
}

@end

static NSString *textOfNetwork(nw_endpoint_t _Nullable endpoint, NSUInteger prefix) {
    StubEndpoint *made = (StubEndpoint *)endpoint;
    if (made == nil) {
        return @"any";
    }
    if (made->_type != nw_endpoint_type_address) {
        return [NSString stringWithFormat:@"name %s/%lu port %u", made->_hostname, prefix, made->_port];
    }
    char text[INET6_ADDRSTRLEN] = {0};
    if (made->_address.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &made->_address.v4.sin_addr, text, sizeof text);
        return [NSString stringWithFormat:@"%s/%lu port %u", text, prefix, made->_port];
    }
    inet_ntop(AF_INET6, &made->_address.v6.sin6_addr, text, sizeof text);
    return [NSString stringWithFormat:@"%s scope %u/%lu port %u", text, made->_address.v6.sin6_scope_id, prefix,
                                      made->_port];
}

NSString *StubTextOfRule(NENetworkRule *rule) {
    StubEndpoint *remote = (StubEndpoint *)rule.stubRemote;
    if (rule.stubIsHostRule) {
        return [NSString stringWithFormat:@"%s %s port %u, protocol %lu",
                                          remote->_type == nw_endpoint_type_host ? "host" : "no host",
                                          remote->_hostname, remote->_port, rule.stubProtocol];
    }
    return [NSString stringWithFormat:@"remote %@, local %@, protocol %lu, direction %lu",
                                      textOfNetwork(rule.stubRemote, rule.stubRemotePrefix),
                                      textOfNetwork(rule.stubLocal, rule.stubLocalPrefix), rule.stubProtocol,
                                      rule.stubDirection];
}

@implementation NEFilterRule

- (instancetype)initWithNetworkRule:(NENetworkRule *)networkRule action:(NEFilterAction)action {
    self = [super init];
    self.networkRule = networkRule;
    self.action = action;
    return self;
}

@end

@implementation NEFilterSettings

- (instancetype)initWithRules:(NSArray<NEFilterRule *> *)rules defaultAction:(NEFilterAction)defaultAction {
    self = [super init];
    _rules = [rules copy];
    _defaultAction = defaultAction;
    return self;
}

@end

@implementation NEFilterFlow
@end

@implementation NEFilterSocketFlow
@end

@implementation NEFilterVerdict

+ (instancetype)stubOfKind:(StubVerdict)kind {
    NEFilterVerdict *made = [[self alloc] init];
    made.stubKind = kind;
    return made;
}

@end

@implementation NEFilterNewFlowVerdict

+ (NEFilterNewFlowVerdict *)allowVerdict {
    return [self stubOfKind:StubVerdictAllow];
}

+ (NEFilterNewFlowVerdict *)dropVerdict {
    return [self stubOfKind:StubVerdictDrop];
}

+ (NEFilterNewFlowVerdict *)filterDataVerdictWithFilterInbound:(BOOL)filterInbound
                                              peekInboundBytes:(NSUInteger)peekInboundBytes
                                                filterOutbound:(BOOL)filterOutbound
                                             peekOutboundBytes:(NSUInteger)peekOutboundBytes {
    NEFilterNewFlowVerdict *made = [self stubOfKind:StubVerdictFilterData];
    made.stubPeekInbound = filterInbound ? peekInboundBytes : 0;
    made.stubPeekOutbound = filterOutbound ? peekOutboundBytes : 0;
    return made;
}

@end

@implementation NEFilterDataVerdict

+ (NEFilterDataVerdict *)allowVerdict {
    return [self stubOfKind:StubVerdictAllow];
}

+ (NEFilterDataVerdict *)dropVerdict {
    return [self stubOfKind:StubVerdictDrop];
}

@end

@implementation NEFilterProviderConfiguration
@end

@implementation NEProvider
@end

@implementation NEFilterProvider

- (instancetype)init {
    self = [super init];
    _filterConfiguration = [[NEFilterProviderConfiguration alloc] init];
    return self;
}

- (void)startFilterWithCompletionHandler:(void (^)(NSError *))completionHandler {
    completionHandler(nil);
}

- (void)stopFilterWithReason:(NEProviderStopReason)__unused reason
           completionHandler:(void (^)(void))completionHandler {
    completionHandler();
}

@end

@implementation NEFilterDataProvider

- (NEFilterNewFlowVerdict *)handleNewFlow:(NEFilterFlow *)__unused flow {
    return [NEFilterNewFlowVerdict allowVerdict];
}

- (NEFilterDataVerdict *)handleInboundDataFromFlow:(NEFilterFlow *)__unused flow
                              readBytesStartOffset:(NSUInteger)__unused offset
                                         readBytes:(NSData *)__unused readBytes {
    return [NEFilterDataVerdict allowVerdict];
}

- (NEFilterDataVerdict *)handleOutboundDataFromFlow:(NEFilterFlow *)__unused flow
                               readBytesStartOffset:(NSUInteger)__unused offset
                                          readBytes:(NSData *)__unused readBytes {
    return [NEFilterDataVerdict allowVerdict];
}

- (NEFilterDataVerdict *)handleInboundDataCompleteForFlow:(NEFilterFlow *)__unused flow {
    return [NEFilterDataVerdict allowVerdict];
}

- (NEFilterDataVerdict *)handleOutboundDataCompleteForFlow:(NEFilterFlow *)__unused flow {
    return [NEFilterDataVerdict allowVerdict];
}

- (void)applySettings:(NEFilterSettings *)settings completionHandler:(void (^)(NSError *))completionHandler {
    if (self.stubIsSilent) {
        self.stubUnanswered = completionHandler;
        return;
    }
    if (self.stubRefusal == nil) {
        self.stubApplied = settings;
    }
    completionHandler(self.stubRefusal);
}

@end
