// What Swift uses of ../../../ObjC/include/FSVHostEndpoints.h, over the stub of NetworkExtension.
import Foundation
import NetworkExtension

public final class FSVHostEndpoint: NSObject {
    public let hostname: String
    public let port: String

    public init(hostname: String, port: String) {
        (self.hostname, self.port) = (hostname, port)
    }
}

public enum FSVEndpointState: Int, Sendable { case unknown = 0, host = 1, unreadable = 2 }

public func FSVRemoteHostEndpoint(
    _ flow: NEFilterSocketFlow, _ endpoint: UnsafeMutablePointer<FSVHostEndpoint?>
) -> FSVEndpointState {
    state(flow.__remoteEndpoint, endpoint)
}

public func FSVLocalHostEndpoint(
    _ flow: NEFilterSocketFlow, _ endpoint: UnsafeMutablePointer<FSVHostEndpoint?>
) -> FSVEndpointState {
    state(flow.__localEndpoint, endpoint)
}

public func FSVScope(_ flow: NEFilterSocketFlow, _ isRemote: Bool) -> UInt32 {
    isRemote ? flow.stubRemoteScope : flow.stubLocalScope
}

public func FSVRemoteNetworkRule(
    _ remote: FSVHostEndpoint?, _ remotePrefix: Int, _ local: FSVHostEndpoint?, _ localPrefix: Int,
    _ protocol: NENetworkRule.`Protocol`, _ direction: NETrafficDirection
) -> NENetworkRule {
    NENetworkRule(
        __remoteNetwork: remote.map(made), remotePrefix: remotePrefix, localNetwork: local.map(made),
        localPrefix: localPrefix, protocol: `protocol`, direction: direction)
}

public func FSVDestinationHostRule(
    _ host: FSVHostEndpoint, _ protocol: NENetworkRule.`Protocol`
) -> NENetworkRule {
    NENetworkRule(__destinationHost: made(host), protocol: `protocol`)
}

private func made(_ endpoint: FSVHostEndpoint) -> __NWHostEndpoint {
    __NWHostEndpoint(hostname: endpoint.hostname, port: endpoint.port)
}

private func state(
    _ endpoint: __NWEndpoint?, _ out: UnsafeMutablePointer<FSVHostEndpoint?>
) -> FSVEndpointState {
    guard let endpoint else { return .unknown }
    guard let host = endpoint as? __NWHostEndpoint else { return .unreadable }
    out.pointee = FSVHostEndpoint(hostname: host.hostname, port: host.port)
    return .host
}
