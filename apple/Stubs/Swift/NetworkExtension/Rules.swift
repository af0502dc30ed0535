// The rules of a content filter, as Swift sees NetworkExtension with the macOS 15 SDK in Swift 6 mode: names
// that take the older NWHostEndpoint begin with two underscores there.
import Foundation
import Network

/// Of C, so that there can be others.
public struct NETrafficDirection: RawRepresentable, Hashable, Sendable {
    public let rawValue: Int

    public init?(rawValue: Int) { self.rawValue = rawValue }
    private init(_ rawValue: Int) { self.rawValue = rawValue }

    public static let any = NETrafficDirection(0)
    public static let inbound = NETrafficDirection(1)
    public static let outbound = NETrafficDirection(2)
}

public enum NEFilterAction: Int, Sendable {
    case invalid = 0
    case allow = 1
    case drop = 2
    case remediate = 3
    case filterData = 4
}

open class NENetworkRule: NSObject {
    public enum `Protocol`: Int, Sendable { case any = 0, TCP = 1, UDP = 2 }

    public let matchRemoteHostOrNetworkEndpoint: Network.NWEndpoint?
    public let matchRemotePrefix: Int
    public let matchLocalNetworkEndpoint: Network.NWEndpoint?
    public let matchLocalPrefix: Int
    public let matchProtocol: `Protocol`
    public let matchDirection: NETrafficDirection
    /// Not in the framework: whether the initialiser was that of a host.
    public let stubIsHostRule: Bool
    /// Not in the framework: whether the initialiser was one that takes NWHostEndpoint.
    public internal(set) var stubTookHostEndpoints = false

    @available(macOS 15.0, *)
    public init(destinationNetworkEndpoint: Network.NWEndpoint, prefix: Int, protocol: `Protocol`) {
        (matchRemoteHostOrNetworkEndpoint, matchRemotePrefix) = (destinationNetworkEndpoint, prefix)
        (matchLocalNetworkEndpoint, matchLocalPrefix) = (nil, NSNotFound)
        (matchProtocol, matchDirection, stubIsHostRule) = (`protocol`, .outbound, false)
    }

    @available(macOS 15.0, *)
    public init(destinationHostEndpoint: Network.NWEndpoint, protocol: `Protocol`) {
        (matchRemoteHostOrNetworkEndpoint, matchRemotePrefix) = (destinationHostEndpoint, NSNotFound)
        (matchLocalNetworkEndpoint, matchLocalPrefix) = (nil, NSNotFound)
        (matchProtocol, matchDirection, stubIsHostRule) = (`protocol`, .outbound, true)
    }

    @available(macOS 15.0, *)
    public init(
        remoteNetworkEndpoint: Network.NWEndpoint?, remotePrefix: Int,
        localNetworkEndpoint: Network.NWEndpoint?, localPrefix: Int,
        protocol: `Protocol`, direction: NETrafficDirection
    ) {
        matchRemoteHostOrNetworkEndpoint = remoteNetworkEndpoint
        matchRemotePrefix = remoteNetworkEndpoint == nil ? NSNotFound : remotePrefix
        matchLocalNetworkEndpoint = localNetworkEndpoint
        matchLocalPrefix = localNetworkEndpoint == nil ? NSNotFound : localPrefix
        (matchProtocol, matchDirection, stubIsHostRule) = (`protocol`, direction, false)
    }

    public convenience init(
        __destinationNetwork network: __NWHostEndpoint, prefix: Int, protocol: `Protocol`
    ) {
        self.init(
            destinationNetworkEndpoint: network.endpoint, prefix: prefix, protocol: `protocol`)
        stubTookHostEndpoints = true
    }

    public convenience init(__destinationHost host: __NWHostEndpoint, protocol: `Protocol`) {
        self.init(destinationHostEndpoint: host.endpoint, protocol: `protocol`)
        stubTookHostEndpoints = true
    }

    public convenience init(
        __remoteNetwork remote: __NWHostEndpoint?, remotePrefix: Int,
        localNetwork local: __NWHostEndpoint?, localPrefix: Int,
        protocol: `Protocol`, direction: NETrafficDirection
    ) {
        self.init(
            remoteNetworkEndpoint: remote?.endpoint, remotePrefix: remotePrefix,
            localNetworkEndpoint: local?.endpoint, localPrefix: localPrefix,
            protocol: `protocol`, direction: direction)
        stubTookHostEndpoints = true
    }
}

open class NEFilterRule: NSObject {
    public let networkRule: NENetworkRule
    public let action: NEFilterAction

    public init(networkRule: NENetworkRule, action: NEFilterAction) {
        (self.networkRule, self.action) = (networkRule, action)
    }
}

open class NEFilterSettings: NSObject {
    public let rules: [NEFilterRule]
    public let defaultAction: NEFilterAction

    public init(rules: [NEFilterRule], defaultAction: NEFilterAction) {
        (self.rules, self.defaultAction) = (rules, defaultAction)
    }

    /// Not in the framework: why it refuses these settings.
    ///
    /// More than 1000 rules (S-61), a default of allow or drop without a rule (S-62), remediate and invalid
    /// (S-63), prefixes out of range (S-12), a name for a network or an address for a host (S-45, S-46).
    /// What it does beyond its documentation is not known; the stub is strict.
    public var stubRefusal: String? {
        if rules.count > 1000 { return "\(rules.count) rules exceed 1000" }
        if rules.isEmpty && defaultAction != .filterData { return "the default action needs a rule" }
        for action in rules.map(\.action) + [defaultAction] {
            if action == .invalid || action == .remediate { return "action \(action)" }
        }
        for (index, rule) in rules.map(\.networkRule).enumerated() {
            let sides = [
                (rule.matchRemoteHostOrNetworkEndpoint, rule.matchRemotePrefix, rule.stubIsHostRule),
                (rule.matchLocalNetworkEndpoint, rule.matchLocalPrefix, false),
            ]
            for (endpoint, prefix, isHost) in sides {
                guard let endpoint else { continue }
                guard case .hostPort(let host, _) = endpoint else { return "rule \(index): no host" }
                switch host {
                case .name where isHost: break
                case .ipv4 where !isHost && (0...32).contains(prefix): break
                case .ipv6 where !isHost && (0...128).contains(prefix): break
                default: return "rule \(index): \(host) with prefix \(prefix)"
                }
            }
        }
        return nil
    }
}
