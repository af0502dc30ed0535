// The parts of NetworkExtension that take NWHostEndpoint. Swift 6 mode does not show them under their names
// with the SDK of macOS 15, and systems before macOS 15 have no others. And what Swift does not show of the new ones.
#import <Foundation/Foundation.h>
#import <NetworkExtension/NetworkExtension.h>

NS_ASSUME_NONNULL_BEGIN

/// What NWHostEndpoint has.
@interface FSVHostEndpoint : NSObject

@property(readonly, copy) NSString *hostname;
@property(readonly, copy) NSString *port;

- (instancetype)initWithHostname:(NSString *)hostname port:(NSString *)port NS_DESIGNATED_INITIALIZER;
- (instancetype)init NS_UNAVAILABLE;

@end

/// What a flow says of an end.
typedef NS_ENUM(NSInteger, FSVEndpointState) {
    /// Nothing yet (S-22).
    FSVEndpointStateUnknown = 0,
    /// A host and a port.
    FSVEndpointStateHost = 1,
    /// Something that is not an NWHostEndpoint.
    FSVEndpointStateUnreadable = 2,
};

/// Reads `remoteEndpoint`. The endpoint is written if the state is that of a host.
FSVEndpointState FSVRemoteHostEndpoint(NEFilterSocketFlow *flow,
                                       FSVHostEndpoint *_Nullable *_Nonnull endpoint);

/// Reads `localEndpoint` in the same way.
FSVEndpointState FSVLocalHostEndpoint(NEFilterSocketFlow *flow,
                                      FSVHostEndpoint *_Nullable *_Nonnull endpoint);

/// Returns the number of the interface in the socket address of an end, 0 for none. In Swift the address has an
/// interface only if that has a name.
uint32_t FSVScope(NEFilterSocketFlow *flow, BOOL isRemote) API_AVAILABLE(macos(15.0));

/// initWithRemoteNetwork:remotePrefix:localNetwork:localPrefix:protocol:direction:
NENetworkRule *FSVRemoteNetworkRule(FSVHostEndpoint *_Nullable remote, NSInteger remotePrefix,
                                    FSVHostEndpoint *_Nullable local, NSInteger localPrefix,
                                    NENetworkRuleProtocol protocol, NETrafficDirection direction);

/// initWithDestinationHost:protocol:
NENetworkRule *FSVDestinationHostRule(FSVHostEndpoint *host, NENetworkRuleProtocol protocol);

NS_ASSUME_NONNULL_END
