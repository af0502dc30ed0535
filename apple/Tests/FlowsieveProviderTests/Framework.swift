import Flowsieve
import Foundation
import Network
import NetworkExtension
import os

@testable import FlowsieveProvider

/// A provider whose choices are given to it.
final class TestProvider: FlowsieveDataProvider, @unchecked Sendable {
    let category = UUID().uuidString
    var failure = FilterAction.drop
    var load: () throws -> FilterSettings
    var stage = FirstStage.automatic
    var isLogging = false
    var filtered = FilterAction.filterData
    let maxBytes: UInt64?
    private(set) var optionsAsked = 0

    init(
        failure: FilterAction = .drop, maxBytes: UInt64? = nil, load: @escaping () throws -> FilterSettings
    ) {
        (self.failure, self.maxBytes, self.load) = (failure, maxBytes, load)
        super.init()
    }

    override var matcherOptions: MatcherOptions {
        optionsAsked += 1
        var options = super.matcherOptions
        (options.failureAction, options.maxBytes) = (failure, maxBytes)
        return options
    }

    override func filteredAction(for flow: NEFilterSocketFlow, decision: Decision) -> FilterAction {
        filtered
    }

    override func loadSettings() throws -> FilterSettings { try load() }
    override var firstStage: FirstStage { stage }
    override var log: Logger { Logger(subsystem: "tests", category: category) }
    override var logsFlows: Bool { isLogging }

    var lines: [String] { stubLoggedLines(category: category) }

    func start() async -> Error? {
        await withCheckedContinuation { done in
            startFilter { error in done.resume(returning: error) }
        }
    }

    func reload(_ settings: FilterSettings) async -> Error? {
        await withCheckedContinuation { done in
            reload(settings) { error in done.resume(returning: error) }
        }
    }
}

/// The framework in front of a provider, as far as its documentation goes: it decides by the settings that
/// were applied last, and calls the provider for the flows to which these give filterData.
final class Framework: @unchecked Sendable {
    private let lock = NSLock()
    private var matcher: FlowMatcher?
    private var isRefusing = false
    private(set) var ruleCount = 0
    let provider: TestProvider

    /// What became of a flow.
    enum Outcome: Equatable {
        case decided(FilterAction)
        /// By the provider, when the flow began or when its first data came.
        case provider(FilterAction, atData: Bool)

        var isAllowed: Bool {
            switch self {
            case .decided(let action), .provider(let action, _): action != .drop
            }
        }
    }

    init(_ provider: TestProvider) {
        self.provider = provider
        provider.stubApply = { [self] settings, done in
            if lock.withLock({ isRefusing }) {
                done(StubRefusal(description: "not now"))
                return
            }
            if let refusal = settings?.stubRefusal {
                done(StubRefusal(description: refusal))
                return
            }
            do {
                let made = try FlowMatcher(Framework.read(settings))
                lock.withLock { (matcher, ruleCount) = (made, settings?.rules.count ?? 0) }
                done(nil)
            } catch {
                done(error)
            }
        }
    }

    func refuse(_ isRefusing: Bool) {
        lock.withLock { self.isRefusing = isRefusing }
    }

    /// Runs a flow; `bind` is what the local endpoint becomes before its first data.
    func run(_ flow: NEFilterSocketFlow, bind: (String, UInt16)? = nil) throws -> Outcome {
        let first = lock.withLock { matcher }
        guard let first else { return .decided(.allow) }
        let decision = first.decide(try SocketFlow(flow))
        guard decision.action == .filterData else { return .decided(decision.action) }
        switch provider.handleNewFlow(flow).stubKind {
        case .allow: return .provider(.allow, atData: false)
        case .drop: return .provider(.drop, atData: false)
        case .pause: return .provider(.filterData, atData: false)
        case .filterData:
            if let bind { flow.setLocal(bind.0, bind.1) }
            let data = Data([0x16])
            let verdict = provider.handleOutboundData(from: flow, readBytesStartOffset: 0, readBytes: data)
            return .provider(verdict.stubKind == .drop ? .drop : .allow, atData: true)
        }
    }

    /// Reads the framework's settings back, so that the library decides for it.
    static func read(_ settings: NEFilterSettings?) throws -> FilterSettings {
        let rules = try (settings?.rules ?? []).map { rule in
            FilterRule(
                networkRule: try read(rule.networkRule),
                action: FilterAction(rawValue: UInt8(rule.action.rawValue)) ?? .filterData)
        }
        let action = settings?.defaultAction ?? .filterData
        return try FilterSettings(
            rules: rules, defaultAction: FilterAction(rawValue: UInt8(action.rawValue)) ?? .filterData)
    }

    static func read(_ rule: NENetworkRule) throws -> NetworkRule {
        let numbers: [NENetworkRule.`Protocol`: NetworkRule.`Protocol`] = [
            .any: .any, .TCP: .TCP, .UDP: .UDP,
        ]
        let number = numbers[rule.matchProtocol] ?? .any
        if rule.stubIsHostRule, let host = text(rule.matchRemoteHostOrNetworkEndpoint) {
            return NetworkRule(destinationHost: host, protocol: number)
        }
        return NetworkRule(
            remoteNetwork: text(rule.matchRemoteHostOrNetworkEndpoint),
            remotePrefix: rule.matchRemotePrefix, localNetwork: text(rule.matchLocalNetworkEndpoint),
            localPrefix: rule.matchLocalPrefix, protocol: number,
            direction: TrafficDirection(rawValue: UInt8(rule.matchDirection.rawValue)) ?? .any)
    }

    private static func text(_ endpoint: Network.NWEndpoint?) -> HostEndpoint? {
        guard case .hostPort(let host, let port) = endpoint else { return nil }
        let zone = { (interface: NWInterface?) in interface.map { "%\($0.name)" } ?? "" }
        let hostname =
            switch host {
            case .name(let name, _): name
            case .ipv4(let address): address.rawValue.map { String($0) }.joined(separator: ".")
            case .ipv6(let address):
                stride(from: 0, to: 16, by: 2).map { index in
                    String(Int(address.rawValue[index]) << 8 | Int(address.rawValue[index + 1]), radix: 16)
                }.joined(separator: ":") + zone(address.interface)
            }
        return HostEndpoint(hostname: hostname, port: String(port.rawValue))
    }
}

extension NEFilterSocketFlow {
    /// Makes a flow with its endpoints in both forms, as macOS 15 has it.
    static func make(
        to remote: (String, UInt16)?, from local: (String, UInt16)? = ("0.0.0.0", 0),
        protocolNumber: Int32 = 6, _ direction: NETrafficDirection = .outbound, name: String? = nil
    ) -> NEFilterSocketFlow {
        let flow = NEFilterSocketFlow()
        (flow.socketProtocol, flow.direction, flow.remoteHostname) = (protocolNumber, direction, name)
        if let remote {
            flow.__remoteEndpoint = __NWHostEndpoint(hostname: remote.0, port: String(remote.1))
            flow.remoteFlowEndpoint = endpoint(remote.0, remote.1)
        }
        if let local { flow.setLocal(local.0, local.1) }
        return flow
    }

    func setLocal(_ host: String, _ port: UInt16) {
        __localEndpoint = __NWHostEndpoint(hostname: host, port: String(port))
        localFlowEndpoint = NEFilterSocketFlow.endpoint(host, port)
    }

    private static func endpoint(_ host: String, _ port: UInt16) -> Network.NWEndpoint {
        .hostPort(host: NWEndpoint.Host(host), port: NWEndpoint.Port(rawValue: port) ?? .any)
    }
}
