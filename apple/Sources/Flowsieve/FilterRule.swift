/// What is done with a flow: NEFilterAction, with its raw values.
public enum FilterAction: UInt8, Hashable, Sendable, CaseIterable {
    case allow = 1
    case drop = 2
    case filterData = 4
}

/// NETrafficDirection, with its raw values. Of a flow, ``any`` stands for one that is not known.
public enum TrafficDirection: UInt8, Hashable, Sendable, CaseIterable {
    case any = 0
    case inbound = 1
    case outbound = 2
}

/// A host and a port as text: NWHostEndpoint. In a rule, port "0" and "" are any port.
public struct HostEndpoint: Hashable, Sendable {
    public var hostname: String
    public var port: String

    public init(hostname: String, port: String) {
        (self.hostname, self.port) = (hostname, port)
    }
}

/// NENetworkRule: the three initialisers that it has. What is wrong with a rule is said where settings are
/// made of it.
public struct NetworkRule: Hashable, Sendable {
    /// The protocol of a rule: NENetworkRuleProtocol, and as an extension a number that the framework does
    /// not take.
    public enum `Protocol`: Hashable, Sendable {
        /// TCP and UDP (S-31).
        case any
        case TCP
        case UDP
        case number(UInt8)
    }

    /// Which initialiser made the rule.
    public enum Initializer: UInt8, Hashable, Sendable {
        case destinationNetwork = 1
        case destinationHost = 2
        case remoteNetwork = 3
    }

    public let initializer: Initializer
    public let matchRemoteEndpoint: HostEndpoint?
    /// In bits; nil where the framework has NSNotFound: for host names and for no endpoint (S-02).
    public let matchRemotePrefix: Int?
    public let matchLocalNetwork: HostEndpoint?
    public let matchLocalPrefix: Int?
    public let matchProtocol: `Protocol`
    public let matchDirection: TrafficDirection

    /// Outbound flows to a network. One host needs prefix 32 or 128; 0 matches the whole family (S-11).
    public init(destinationNetwork network: HostEndpoint, prefix: Int, protocol: `Protocol`) {
        self.init(
            .destinationNetwork, remote: network, prefix, local: nil, nil, `protocol`, .outbound)
    }

    /// Outbound flows that carry the name of a host, or of one in its domain.
    public init(destinationHost host: HostEndpoint, protocol: `Protocol`) {
        self.init(.destinationHost, remote: host, nil, local: nil, nil, `protocol`, .outbound)
    }

    /// Flows by both sides. Nil as a network is any address of both families.
    public init(
        remoteNetwork: HostEndpoint?, remotePrefix: Int, localNetwork: HostEndpoint?, localPrefix: Int,
        protocol: `Protocol`, direction: TrafficDirection
    ) {
        self.init(
            .remoteNetwork, remote: remoteNetwork, remoteNetwork == nil ? nil : remotePrefix,
            local: localNetwork, localNetwork == nil ? nil : localPrefix, `protocol`, direction)
    }

    init(
        _ initializer: Initializer, remote: HostEndpoint?, _ remotePrefix: Int?, local: HostEndpoint?,
        _ localPrefix: Int?, _ protocol: `Protocol`, _ direction: TrafficDirection
    ) {
        self.initializer = initializer
        (matchRemoteEndpoint, matchRemotePrefix) = (remote, remotePrefix)
        (matchLocalNetwork, matchLocalPrefix) = (local, localPrefix)
        (matchProtocol, matchDirection) = (`protocol`, direction)
    }
}

/// NEFilterRule: a network rule and an action, and as an extension a label that explanations show.
public struct FilterRule: Hashable, Sendable {
    public let networkRule: NetworkRule
    public let action: FilterAction
    public let label: String?

    public init(networkRule: NetworkRule, action: FilterAction, label: String? = nil) {
        (self.networkRule, self.action, self.label) = (networkRule, action, label)
    }
}
