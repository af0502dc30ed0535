#import "FSVHostEndpoints.h"

// Deprecated since macOS 15, and all that there is before.
#pragma clang diagnostic ignored "-Wdeprecated-declarations"

@implementation FSVHostEndpoint

- (instancetype)initWithHostname:(NSString *)hostname port:(NSString *)port {
    self = [super init];
    if (self != nil) {
        _hostname = [hostname copy];
        _port = [port copy];
    }
    return self;
}

@end

static FSVEndpointState readEndpoint(NWEndpoint *_Nullable found,
                                     FSVHostEndpoint *_Nullable *_Nonnull endpoint) {
    if (found == nil) {
        return FSVEndpointStateUnknown;
    }
    if (![found isKindOfClass:[NWHostEndpoint class]]) {
        return FSVEndpointStateUnreadable;
    }
    NWHostEndpoint *host = (NWHostEndpoint *)found;
    *endpoint = [[FSVHostEndpoint alloc] initWithHostname:host.hostname port:host.port];
    return FSVEndpointStateHost;
}

FSVEndpointState FSVRemoteHostEndpoint(NEFilterSocketFlow *flow, FSVHostEndpoint **endpoint) {
    return readEndpoint(flow.remoteEndpoint, endpoint);
}

FSVEndpointState FSVLocalHostEndpoint(NEFilterSocketFlow *flow, FSVHostEndpoint **endpoint) {
    return readEndpoint(flow.localEndpoint, endpoint);
}

static NWHostEndpoint *_Nullable made(FSVHostEndpoint *_Nullable endpoint) {
    if (endpoint == nil) {
        return nil;
    }
    return [NWHostEndpoint endpointWithHostname:endpoint.hostname port:endpoint.port];
}

NENetworkRule *FSVRemoteNetworkRule(FSVHostEndpoint *remote, NSInteger remotePrefix,
                                    FSVHostEndpoint *local, NSInteger localPrefix,
                                    NENetworkRuleProtocol protocol, NETrafficDirection direction) {
    return [[NENetworkRule alloc] initWithRemoteNetwork:made(remote)
                                           remotePrefix:(NSUInteger)remotePrefix
                                           localNetwork:made(local)
                                            localPrefix:(NSUInteger)localPrefix
                                               protocol:protocol
                                              direction:direction];
}

NENetworkRule *FSVDestinationHostRule(FSVHostEndpoint *host, NENetworkRuleProtocol protocol) {
    NWHostEndpoint *endpoint = [NWHostEndpoint endpointWithHostname:host.hostname port:host.port];
    return [[NENetworkRule alloc] initWithDestinationHost:endpoint protocol:protocol];
}
