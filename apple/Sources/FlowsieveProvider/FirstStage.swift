#if canImport(NetworkExtension)
    import Flowsieve
    import FlowsieveObjC
    import Foundation
    import Network
    import NetworkExtension

    /// What the framework is given, in front of the settings that the extension decides by.
    ///
    /// The framework decides by the first stage, and consults the extension only where that says
    /// `filterData`. It does so before outbound TCP has a local endpoint, so that a rule with a local side does
    /// not match there (S-21); a flow that reaches the extension is waited for. With ``everything``, all do.
    public enum FirstStage: Sendable {
        /// The settings themselves where the framework takes them; otherwise a plan of at most 1000 rules.
        case automatic
        /// A plan of at most so many rules, which sends what it cannot decide to the extension.
        case planned(limit: Int)
        /// Settings made elsewhere, for instance by `flowsieve plan`, which can weigh a plan by a sample of
        /// flows. They are not verified here: `flowsieve plan --verify` does that.
        case settings(FilterSettings)
        /// Everything is sent to the extension, loopback too.
        case everything

        /// Returns the settings for the framework.
        ///
        /// - Throws: ``FlowsieveError/Code/noPlan``, and what is wrong with rules.
        public func settings(
            for settings: FilterSettings, precedence: Precedence = .firstMatch
        ) throws(FlowsieveError) -> FilterSettings {
            switch self {
            case .automatic:
                // The framework takes the first match, whatever the extension does.
                let issues = try settings.frameworkIssues()
                return precedence == .firstMatch && issues.isEmpty
                    ? settings : try settings.firstStage(precedence: precedence)
            case .planned(let limit):
                return try settings.firstStage(limit: limit, precedence: precedence)
            case .settings(let settings):
                return settings
            case .everything:
                return try FilterSettings(rules: FirstStage.loopback, defaultAction: .filterData)
            }
        }

        /// Loopback flows reach the extension only where rules name loopback addresses (S-64); either side
        /// may be the one that has it.
        private static var loopback: [FilterRule] {
            [("127.0.0.1", 32), ("::1", 128)].flatMap { address, prefix in
                let network = HostEndpoint(hostname: address, port: "0")
                let sides: [(HostEndpoint?, HostEndpoint?)] = [(network, nil), (nil, network)]
                return sides.map { remote, local in
                    let rule = NetworkRule(
                        remoteNetwork: remote, remotePrefix: prefix, localNetwork: local,
                        localPrefix: prefix, protocol: .any, direction: .any)
                    return FilterRule(networkRule: rule, action: .filterData)
                }
            }
        }
    }

    extension NEFilterSettings {
        /// Makes the framework's settings of rules that the framework takes; see ``FirstStage``.
        ///
        /// - Throws: for a rule that cannot be expressed, with what it has.
        public convenience init(_ settings: FilterSettings) throws(FlowsieveError) {
            if #available(macOS 15.0, *) {
                try self.init(settings, rule: NENetworkRule.make(withNetworkEndpointsOf:))
            } else {
                try self.init(settings, rule: NENetworkRule.make(withHostEndpointsOf:))
            }
        }

        convenience init(
            _ settings: FilterSettings, rule: (NetworkRule) throws(FlowsieveError) -> NENetworkRule
        ) throws(FlowsieveError) {
            var rules: [NEFilterRule] = []
            for filterRule in try settings.rules {
                let network = try rule(filterRule.networkRule)
                rules.append(NEFilterRule(networkRule: network, action: filterRule.action.framework))
            }
            self.init(rules: rules, defaultAction: settings.defaultAction.framework)
        }
    }

    extension NENetworkRule {
        /// Of the initialisers of macOS 15, which take Network.NWEndpoint.
        @available(macOS 15.0, *)
        static func make(
            withNetworkEndpointsOf rule: NetworkRule
        ) throws(FlowsieveError) -> NENetworkRule {
            let number = try rule.matchProtocol.framework()
            if rule.initializer == .destinationHost, let host = rule.matchRemoteEndpoint {
                let endpoint = Network.NWEndpoint.hostPort(
                    host: .name(host.hostname, nil), port: try port(host))
                return NENetworkRule(destinationHostEndpoint: endpoint, protocol: number)
            }
            return NENetworkRule(
                remoteNetworkEndpoint: try network(rule.matchRemoteEndpoint),
                remotePrefix: rule.matchRemotePrefix ?? 0,
                localNetworkEndpoint: try network(rule.matchLocalNetwork),
                localPrefix: rule.matchLocalPrefix ?? 0,
                protocol: number, direction: rule.matchDirection.framework)
        }

        /// Of the older initialisers, which take NWHostEndpoint.
        static func make(
            withHostEndpointsOf rule: NetworkRule
        ) throws(FlowsieveError) -> NENetworkRule {
            let number = try rule.matchProtocol.framework()
            let endpoint = { (endpoint: HostEndpoint) in
                FSVHostEndpoint(hostname: endpoint.hostname, port: endpoint.port)
            }
            for endpoint in [rule.matchRemoteEndpoint, rule.matchLocalNetwork] {
                if let endpoint { _ = try port(endpoint) }
            }
            if rule.initializer == .destinationHost, let host = rule.matchRemoteEndpoint {
                return FSVDestinationHostRule(endpoint(host), number)
            }
            // The framework wants addresses here (S-46). What it does with names is not known.
            if let remote = rule.matchRemoteEndpoint, rule.matchRemotePrefix == nil {
                throw noAddress(remote)
            }
            return FSVRemoteNetworkRule(
                rule.matchRemoteEndpoint.map(endpoint), rule.matchRemotePrefix ?? 0,
                rule.matchLocalNetwork.map(endpoint), rule.matchLocalPrefix ?? 0, number,
                rule.matchDirection.framework)
        }

        @available(macOS 15.0, *)
        private static func network(
            _ endpoint: HostEndpoint?
        ) throws(FlowsieveError) -> Network.NWEndpoint? {
            guard let endpoint else { return nil }
            let port = try port(endpoint)
            if let address = IPv4Address(endpoint.hostname) {
                return .hostPort(host: .ipv4(address), port: port)
            }
            if let address = IPv6Address(endpoint.hostname) {
                return .hostPort(host: .ipv6(address), port: port)
            }
            throw noAddress(endpoint)
        }

        private static func noAddress(_ endpoint: HostEndpoint) -> FlowsieveError {
            let message = "`\(endpoint.hostname)` is no address that this system knows"
            return FlowsieveError(code: .invalidHost, message: message)
        }

        private static func port(
            _ endpoint: HostEndpoint
        ) throws(FlowsieveError) -> Network.NWEndpoint.Port {
            if endpoint.port.isEmpty || endpoint.port == "0" {
                return .any
            }
            guard let number = UInt16(endpoint.port),
                let port = Network.NWEndpoint.Port(rawValue: number)
            else {
                let message = "the framework takes one port or any, not `\(endpoint.port)`"
                throw FlowsieveError(code: .invalidPort, message: message)
            }
            return port
        }
    }

    extension FilterAction {
        fileprivate var framework: NEFilterAction {
            switch self {
            case .allow: .allow
            case .drop: .drop
            case .filterData: .filterData
            }
        }
    }

    extension TrafficDirection {
        fileprivate var framework: NETrafficDirection {
            switch self {
            case .any: .any
            case .inbound: .inbound
            case .outbound: .outbound
            }
        }
    }

    extension NetworkRule.`Protocol` {
        fileprivate func framework() throws(FlowsieveError) -> NENetworkRule.`Protocol` {
            switch self {
            case .any: return .any
            case .TCP: return .TCP
            case .UDP: return .UDP
            case .number(let number):
                let message = "the framework takes TCP, UDP or any, not protocol \(number)"
                throw FlowsieveError(code: .invalidArgument, message: message)
            }
        }
    }
#endif
