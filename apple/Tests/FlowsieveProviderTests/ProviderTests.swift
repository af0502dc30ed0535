import Flowsieve
import Foundation
import Network
import NetworkExtension
import Testing

@testable import FlowsieveProvider

private func endpoint(_ hostname: String, _ port: String = "0") -> HostEndpoint {
    HostEndpoint(hostname: hostname, port: port)
}

private func rule(
    _ action: FilterAction, to remote: String?, _ remotePrefix: Int = 0, from local: String? = nil,
    _ localPrefix: Int = 0, _ number: NetworkRule.`Protocol` = .any, _ direction: TrafficDirection = .any
) -> FilterRule {
    let networkRule = NetworkRule(
        remoteNetwork: remote.map { endpoint($0) }, remotePrefix: remotePrefix,
        localNetwork: local.map { endpoint($0) }, localPrefix: localPrefix, protocol: number,
        direction: direction)
    return FilterRule(networkRule: networkRule, action: action)
}

private func started(
    _ rules: [FilterRule], _ defaultAction: FilterAction, stage: FirstStage = .automatic,
    failure: FilterAction = .drop
) async throws -> Framework {
    let settings = try FilterSettings(rules: rules, defaultAction: defaultAction)
    let provider = TestProvider(failure: failure) { settings }
    provider.stage = stage
    let framework = Framework(provider)
    #expect(await provider.start() == nil)
    return framework
}

private let asked = NEFilterNewFlowVerdict.StubKind.filterData(
    inbound: true, peekInbound: .max, outbound: true, peekOutbound: .max)
private let waiting = NEFilterNewFlowVerdict.StubKind.filterData(
    inbound: true, peekInbound: 1, outbound: true, peekOutbound: 1)

@Suite struct StoryTests {
    /// By the settings of the example, as they stand there.
    @Test func outgoingTCPToOneHostIsAskedAboutAndNothingElseIs() async throws {
        let package = URL(fileURLWithPath: #filePath).appendingPathComponent("../../..").standardized
        let file = package.appendingPathComponent("Examples/OutgoingTCP/settings.json")
        let settings = try FilterSettings(json: Data(contentsOf: file))
        let rules = try settings.rules
        #expect(rules.first?.networkRule.matchRemotePrefix == 32)
        let framework = Framework(TestProvider { settings })
        #expect(await framework.provider.start() == nil)
        #expect(framework.ruleCount == 1)
        for remote in ["111.222.111.222", "111.222.222.222"] {
            #expect(try framework.run(.make(to: (remote, 80))) == .decided(.allow))
        }
        let flow = NEFilterSocketFlow.make(to: ("111.111.111.111", 80))
        #expect(framework.provider.handleNewFlow(flow).stubKind == asked)
        #expect(try framework.run(flow, bind: ("192.168.1.5", 50000)) == .provider(.allow, atData: true))
        let inbound = NEFilterSocketFlow.make(
            to: ("111.111.111.111", 80), from: ("192.168.1.5", 22), .inbound)
        #expect(try framework.run(inbound) == .decided(.allow))
        let udp = NEFilterSocketFlow.make(to: ("111.111.111.111", 80), protocolNumber: 17)
        #expect(try framework.run(udp) == .decided(.allow))
    }
}

@Suite struct LocalEndpointTests {
    private let rules = [rule(.drop, to: nil, 0, from: "192.168.1.5", 32, .TCP, .outbound)]

    @Test func outboundTCPIsWaitedForUntilItIsBound() async throws {
        for (stage, action) in [(FirstStage.everything, FilterAction.allow), (.automatic, .filterData)] {
            let framework = try await started(rules, action, stage: stage)
            let flow = NEFilterSocketFlow.make(to: ("198.51.100.7", 443))
            #expect(framework.provider.handleNewFlow(flow).stubKind == waiting)
            let dropped = try framework.run(flow, bind: ("192.168.1.5", 50000))
            #expect(dropped == .provider(.drop, atData: true))
            let other = NEFilterSocketFlow.make(to: ("198.51.100.7", 443))
            #expect(try framework.run(other, bind: ("10.0.0.2", 50000)) == .provider(.allow, atData: true))
            #expect(framework.provider.statistics().waited == 3)
        }
    }

    @Test func whatTheFrameworkDecidesBeforeTheSocketIsBoundIsNotSeen() async throws {
        // Apple's answer (S-21): the first stage is the settings, and their default allows.
        for stage in [FirstStage.automatic, .planned(limit: 1000)] {
            let framework = try await started(rules, .allow, stage: stage)
            let flow = NEFilterSocketFlow.make(to: ("198.51.100.7", 443))
            #expect(try framework.run(flow, bind: ("192.168.1.5", 50000)) == .decided(.allow))
        }
    }

    @Test func eitherSideOfDataWillDo() async throws {
        let framework = try await started(rules, .allow, stage: .everything)
        let provider = framework.provider
        let flow = NEFilterSocketFlow.make(to: ("198.51.100.7", 25), from: ("192.168.1.5", 50000))
        let data = Data([0x32])
        #expect(
            provider.handleInboundData(from: flow, readBytesStartOffset: 0, readBytes: data).stubKind == .drop)
        #expect(
            provider.handleOutboundData(from: flow, readBytesStartOffset: 0, readBytes: data).stubKind == .drop)
        #expect(provider.handleOutboundDataComplete(for: flow).stubKind == .drop)
        #expect(provider.handleInboundDataComplete(for: flow).stubKind == .drop)
    }

    @Test func anEndpointThatIsStillNotKnownGetsTheActionForNow() async throws {
        let framework = try await started(rules, .allow, stage: .everything)
        let flow = NEFilterSocketFlow.make(to: ("198.51.100.7", 443), from: nil)
        #expect(framework.provider.handleNewFlow(flow).stubKind == waiting)
        let verdict = framework.provider.handleOutboundData(
            from: flow, readBytesStartOffset: 0, readBytes: Data([1]))
        #expect(verdict.stubKind == .allow)
    }

    @Test func aFlowThatWaitedIsFilteredAsOneThatDidNot() async throws {
        let framework = try await started(rules, .filterData, stage: .everything)
        let provider = framework.provider
        for (filtered, verdict) in [(FilterAction.drop, NEFilterDataVerdict.StubKind.drop), (.allow, .allow)] {
            provider.filtered = filtered
            let bound = NEFilterSocketFlow.make(to: ("198.51.100.7", 443), from: ("10.0.0.2", 50000))
            #expect(try framework.run(bound) == .provider(filtered, atData: false))
            let flow = NEFilterSocketFlow.make(to: ("198.51.100.7", 443))
            let waited = try framework.run(flow, bind: ("10.0.0.2", 50000))
            #expect(waited == .provider(filtered, atData: true))
            // Nor does one pass that ends before there is data.
            #expect(provider.handleOutboundDataComplete(for: flow).stubKind == verdict)
        }
    }

    @Test func aDecisionThatIsFinalDoesNotWait() async throws {
        let framework = try await started(
            [rule(.drop, to: "203.0.113.0", 24)] + rules, .allow, stage: .everything)
        let dropped = NEFilterSocketFlow.make(to: ("203.0.113.9", 443))
        #expect(framework.provider.handleNewFlow(dropped).stubKind == .drop)
        let udp = NEFilterSocketFlow.make(to: ("198.51.100.7", 443), protocolNumber: 17)
        #expect(framework.provider.handleNewFlow(udp).stubKind == .allow)
    }

    @Test func inboundTCPHasBothEndpointsAndIsDecidedAtOnce() async throws {
        let ssh = NetworkRule(
            remoteNetwork: nil, remotePrefix: 0, localNetwork: endpoint("192.168.1.5", "22"),
            localPrefix: 32, protocol: .TCP, direction: .inbound)
        let rules = [FilterRule(networkRule: ssh, action: .drop)]
        let framework = try await started(rules, .allow, stage: .everything)
        for (local, action) in [(("192.168.1.5", 22), FilterAction.drop), (("192.168.1.6", 22), .allow)] {
            let flow = NEFilterSocketFlow.make(
                to: ("198.51.100.7", 40000), from: (local.0, UInt16(local.1)), .inbound)
            #expect(try framework.run(flow) == .provider(action, atData: false))
        }
    }

    @Test func aHostNameThatIsMissingIsNotWaitedFor() async throws {
        let host = FilterRule(
            networkRule: NetworkRule(destinationHost: endpoint("example.com"), protocol: .any),
            action: .drop)
        let framework = try await started([host], .allow, stage: .everything)
        let provider = framework.provider
        let named = NEFilterSocketFlow.make(to: ("93.184.216.34", 443), name: "www.example.com")
        #expect(provider.handleNewFlow(named).stubKind == .drop)
        let unnamed = NEFilterSocketFlow.make(to: ("93.184.216.34", 443))
        #expect(!provider.decide(unnamed).isFinal)
        #expect(provider.handleNewFlow(unnamed).stubKind == .allow)
        #expect(provider.statistics().waited == 0)
    }
}

@Suite struct EndpointTests {
    @Test func bothFormsOfEndpointsAreTheSameFlow() throws {
        for (remote, local) in [
            (("198.51.100.7", 443), ("0.0.0.0", 0)), (("2001:db8::1", 443), ("::", 0)),
            (("fe80::1%en0", 443), ("fe80::2%en0", 50000)), (("www.example.com", 443), ("0.0.0.0", 5353)),
            (("::ffff:192.0.2.1", 80), ("192.168.1.5", 50000)),
        ] {
            let flow = NEFilterSocketFlow.make(
                to: (remote.0, UInt16(remote.1)), from: (local.0, UInt16(local.1)))
            let matcher = try FlowMatcher(FilterSettings(rules: [], defaultAction: .allow))
            let new = try SocketFlow(networkEndpointsOf: flow)
            let old = try SocketFlow(hostEndpointsOf: flow)
            // The explanation begins with all that a flow has.
            #expect(try matcher.explain(new) == matcher.explain(old), "\(remote.0)")
            #expect(new.remoteHostname == old.remoteHostname)
            #expect(new.isLocalEndpointKnown == old.isLocalEndpointKnown)
        }
    }

    @Test func zoneIdsOfFlowsAreComparedWithThoseOfRules() async throws {
        let framework = try await started(
            [rule(.drop, to: "fe80::1%en0", 128)], .allow, stage: .everything)
        for (remote, action) in [("fe80::1%en0", FilterAction.drop), ("fe80::1%en1", .allow)] {
            let flow = NEFilterSocketFlow.make(to: (remote, 443), from: ("::", 0))
            #expect(try framework.run(flow) == .provider(action, atData: false), "\(remote)")
            let old = try SocketFlow(hostEndpointsOf: flow)
            let settings = try FilterSettings(
                rules: [rule(.drop, to: "fe80::1%en0", 128)], defaultAction: .allow)
            #expect(try FlowMatcher(settings).decide(old).action == action, "\(remote)")
        }
    }

    @Test func bothFormsOfRulesSayTheSame() throws {
        let host = FilterRule(
            networkRule: NetworkRule(destinationHost: endpoint("example.com", "443"), protocol: .TCP),
            action: .drop)
        let network = FilterRule(
            networkRule: NetworkRule(
                destinationNetwork: endpoint("10.0.0.0", "443"), prefix: 8, protocol: .UDP),
            action: .allow)
        let settings = try FilterSettings(
            rules: [
                host, network, rule(.filterData, to: nil, 0, from: "::1", 128, .any, .inbound),
                rule(.drop, to: "fe80::1%en0", 64, from: "0.0.0.0", 0, .TCP, .outbound),
                rule(.allow, to: nil),
            ], defaultAction: .drop)
        let new = try NEFilterSettings(settings, rule: NENetworkRule.make(withNetworkEndpointsOf:))
        let old = try NEFilterSettings(settings, rule: NENetworkRule.make(withHostEndpointsOf:))
        #expect(new.stubRefusal == nil)
        #expect(old.rules.allSatisfy { $0.networkRule.stubTookHostEndpoints })
        #expect(!new.rules.contains { $0.networkRule.stubTookHostEndpoints })
        let (readNew, readOld) = (try Framework.read(new), try Framework.read(old))
        let (rules, oldRules, given) = (try readNew.rules, try readOld.rules, try settings.rules)
        #expect(rules == oldRules)
        #expect(readNew.defaultAction == .drop)
        #expect(rules.map(\.action) == given.map(\.action))
        #expect(rules.first?.networkRule == host.networkRule)
        #expect(rules[1].networkRule.matchDirection == .outbound)
        #expect(rules[2].networkRule == given[2].networkRule)
    }

    @Test func hostNamesInNetworkRulesAreErrorsInBothForms() throws {
        let text = #"{"rules": [{"networkRule": {"remoteNetwork": {"hostname": "example.com", "port": "443"}, "remotePrefix": 0, "localNetwork": null, "localPrefix": 0, "protocol": "any", "direction": "outbound"}, "action": "drop"}], "defaultAction": "allow"}"#
        let settings = try FilterSettings(json: text, options: .hostnameInNetwork)
        let new = failure { try NEFilterSettings(settings, rule: NENetworkRule.make(withNetworkEndpointsOf:)) }
        let old = failure { try NEFilterSettings(settings, rule: NENetworkRule.make(withHostEndpointsOf:)) }
        #expect(new?.code == .invalidHost)
        #expect(old?.code == .invalidHost)
    }

    @Test func aDirectionThatIsNotKnownCannotBeRead() throws {
        for number in [3, -1, 256] {
            let flow = NEFilterSocketFlow.make(to: ("10.0.0.1", 443))
            flow.direction = try #require(NETrafficDirection(rawValue: number))
            #expect(failure { try SocketFlow(networkEndpointsOf: flow) }?.code == .invalidFlow)
            #expect(failure { try SocketFlow(hostEndpointsOf: flow) }?.code == .invalidFlow)
        }
    }

    /// It is the one of no rule that names its own (S-50).
    @Test func anInterfaceWithoutANameKeepsItsNumber() throws {
        let settings = try FilterSettings(
            rules: [rule(.drop, to: "fe80::1%en0", 128), rule(.drop, to: nil, 0, from: "fe80::2%en0", 128)],
            defaultAction: .allow)
        let matcher = try FlowMatcher(settings)
        let flow = NEFilterSocketFlow.make(to: ("fe80::1", 443), from: ("fe80::9", 50000))
        #expect(matcher.decide(try SocketFlow(flow)).action == .drop)
        flow.stubRemoteScope = 999
        #expect(matcher.decide(try SocketFlow(flow)).action == .allow)
        let other = NEFilterSocketFlow.make(to: ("fe80::8", 443), from: ("fe80::2", 50000))
        #expect(matcher.decide(try SocketFlow(other)).action == .drop)
        other.stubLocalScope = 999
        #expect(matcher.decide(try SocketFlow(other)).action == .allow)
    }

    @Test func rulesThatTheFrameworkCannotExpressAreErrors() throws {
        for (rule, code) in [
            (rule(.drop, to: "10.0.0.0", 8, from: nil, 0, .number(132), .any), FlowsieveError.Code.invalidArgument),
            (
                FilterRule(
                    networkRule: NetworkRule(
                        destinationNetwork: endpoint("10.0.0.0", "1-9"), prefix: 8, protocol: .any),
                    action: .drop), .invalidPort
            ),
        ] {
            let settings = try FilterSettings(rules: [rule])
            let new = failure { try NEFilterSettings(settings, rule: NENetworkRule.make(withNetworkEndpointsOf:)) }
            let old = failure { try NEFilterSettings(settings, rule: NENetworkRule.make(withHostEndpointsOf:)) }
            #expect(new?.code == code)
            #expect(old?.code == code)
        }
    }
}

@Suite struct FirstStageTests {
    @Test func loopbackIsAllowedUnlessARuleNamesIt() async throws {
        let loopback = NEFilterSocketFlow.make(to: ("127.0.0.1", 8080), from: ("127.0.0.1", 50000))
        let unnamed = try await started([rule(.filterData, to: nil)], .drop)
        #expect(try unnamed.run(loopback) == .decided(.allow))
        let named = try await started(
            [rule(.filterData, to: "127.0.0.1", 32), rule(.filterData, to: nil)], .drop)
        #expect(try named.run(loopback) == .provider(.allow, atData: true))
        let other = NEFilterSocketFlow.make(to: ("::1", 8080), from: ("::1", 50000))
        #expect(try named.run(other) == .decided(.allow))
        // The first stage that sends everything has rules for loopback.
        let everything = try await started([rule(.drop, to: "127.0.0.1", 32)], .allow, stage: .everything)
        #expect(try everything.run(loopback) == .provider(.drop, atData: false))
        #expect(try everything.run(other) == .provider(.allow, atData: false))
    }

    @Test func aDefaultWithoutRulesIsMadeOneThatTheFrameworkTakes() async throws {
        for action in [FilterAction.allow, .drop] {
            let framework = try await started([], action)
            #expect(framework.ruleCount >= 1)
            let flow = NEFilterSocketFlow.make(to: ("198.51.100.7", 443))
            #expect(try framework.run(flow).isAllowed == (action == .allow))
        }
        let empty = try await started([], .filterData)
        #expect(empty.ruleCount == 0)
    }

    @Test func moreThan1000RulesArePlannedAndBothStagesGiveTheirAnswers() async throws {
        let rules = (0..<2500).map { index in
            rule(index % 3 == 0 ? .allow : .drop, to: "10.\(index / 250).\(index % 250).\(index * 7 % 256)", 32)
        }
        let framework = try await started(rules, .allow)
        #expect((1...1000).contains(framework.ruleCount))
        let exact = try FlowMatcher(FilterSettings(rules: rules, defaultAction: .allow))
        var generator = SystemRandomNumberGenerator()
        var (dropped, sent) = (0, 0)
        for step in 0..<4000 {
            let index = Int.random(in: 0..<2500, using: &generator)
            let last = step % 2 == 0 ? index * 7 % 256 : Int.random(in: 0..<256, using: &generator)
            let remote = "10.\(index / 250).\(index % 250).\(last)"
            let flow = NEFilterSocketFlow.make(to: (remote, 443))
            let meant = exact.decide(try SocketFlow(flow)).action
            let outcome = try framework.run(flow)
            #expect(outcome.isAllowed == (meant == .allow), "\(remote)")
            dropped += meant == .drop ? 1 : 0
            if case .provider = outcome { sent += 1 }
        }
        #expect(dropped > 1000)
        #expect(sent > 0)
    }

    @Test func rulesThatTheFrameworkRefusesArePlanned() async throws {
        let range = NetworkRule(
            destinationNetwork: endpoint("10.0.0.0", "1000-2000"), prefix: 8, protocol: .TCP)
        let framework = try await started([FilterRule(networkRule: range, action: .drop)], .allow)
        for (port, isAllowed) in [(999, true), (1000, false), (2000, false), (2001, true)] {
            let flow = NEFilterSocketFlow.make(to: ("10.0.0.1", UInt16(port)))
            #expect(try framework.run(flow).isAllowed == isAllowed, "port \(port)")
        }
    }

    @Test func longestPrefixesArePlannedBecauseTheFrameworkTakesTheFirst() throws {
        let settings = try FilterSettings(
            rules: [rule(.drop, to: "10.0.0.0", 8), rule(.allow, to: "10.1.0.0", 16)], defaultAction: .drop)
        let first = try FirstStage.automatic.settings(for: settings)
        let (rules, given) = (try first.rules, try settings.rules)
        #expect(rules == given)
        let planned = try FirstStage.automatic.settings(for: settings, precedence: .longestPrefix)
        let flow = try SocketFlow(NEFilterSocketFlow.make(to: ("10.1.0.1", 443)))
        #expect(try FlowMatcher(planned).decide(flow).action != .drop)
    }

    @Test func settingsMadeElsewhereAreTaken() async throws {
        let other = try FilterSettings(rules: [rule(.filterData, to: "10.0.0.0", 8)], defaultAction: .allow)
        let framework = try await started([rule(.drop, to: "10.0.0.1", 32)], .allow, stage: .settings(other))
        #expect(framework.ruleCount == 1)
        #expect(try framework.run(.make(to: ("10.0.0.1", 1))) == .provider(.drop, atData: false))
        #expect(try framework.run(.make(to: ("10.0.0.2", 1))) == .provider(.allow, atData: false))
    }
}

@Suite struct FailureTests {
    @Test func whatCannotBeReadGetsTheFailureAction() async throws {
        for (failure, verdict) in [(FilterAction.drop, NEFilterNewFlowVerdict.StubKind.drop), (.allow, .allow)] {
            let action: FilterAction = failure == .drop ? .allow : .drop
            let framework = try await started([rule(action, to: nil)], action, failure: failure)
            let provider = framework.provider
            let bonjour = NEFilterSocketFlow.make(to: nil)
            bonjour.remoteFlowEndpoint = .service(name: "a", type: "_b._tcp", domain: "local", interface: nil)
            bonjour.__remoteEndpoint = __NWBonjourServiceEndpoint()
            let path = NEFilterSocketFlow.make(to: ("10.0.0.1", 1))
            path.localFlowEndpoint = .unix(path: "/tmp/a")
            let number = NEFilterSocketFlow.make(to: ("10.0.0.1", 1), protocolNumber: 256)
            for flow in [bonjour, path, number] {
                #expect(provider.handleNewFlow(flow).stubKind == verdict)
                let data = provider.handleOutboundData(from: flow, readBytesStartOffset: 0, readBytes: Data())
                #expect((data.stubKind == .drop) == (verdict == .drop))
            }
            #expect(throws: FlowsieveError.self) { try SocketFlow(hostEndpointsOf: bonjour) }
            #expect(provider.handleNewFlow(NEFilterFlow()).stubKind == verdict)
            #expect(provider.handleInboundDataComplete(for: NEFilterFlow()).stubKind == (failure == .drop ? .drop : .allow))
            #expect(provider.statistics().failed == 6)
            #expect(provider.statistics().otherKinds == 2)
            // The first, the second and the fourth.
            #expect(provider.lines.filter { $0.contains("could not be decided") }.count == 3)
        }
    }

    @Test func failuresToBeFilteredAreAskedAboutAndOtherKindsDropped() async throws {
        let framework = try await started([], .allow, stage: .everything, failure: .filterData)
        let provider = framework.provider
        let flow = NEFilterSocketFlow.make(to: ("198.51.100.7", 443), protocolNumber: 256)
        for (filtered, verdict) in [(FilterAction.filterData, asked), (.drop, .drop), (.allow, .allow)] {
            provider.filtered = filtered
            #expect(provider.handleNewFlow(flow).stubKind == verdict)
        }
        provider.filtered = .filterData
        #expect(provider.handleNewFlow(NEFilterFlow()).stubKind == .drop)
        let data = Data([1])
        let verdict = provider.handleOutboundData(
            from: NEFilterFlow(), readBytesStartOffset: 0, readBytes: data)
        #expect(verdict.stubKind == .drop)
    }

    @Test func optionsAreAskedForOnce() async throws {
        let framework = try await started([], .drop, stage: .everything)
        let provider = framework.provider
        let unreadable = NEFilterSocketFlow.make(to: ("198.51.100.7", 443), protocolNumber: 256)
        #expect(provider.handleNewFlow(unreadable).stubKind == .drop)
        #expect(provider.handleNewFlow(NEFilterFlow()).stubKind == .drop)
        #expect(provider.optionsAsked == 1)
    }

    @Test func flowsBeforeTheStartGetTheFailureAction() throws {
        for (failure, verdict) in [(FilterAction.drop, NEFilterNewFlowVerdict.StubKind.drop), (.allow, .allow)] {
            let provider = TestProvider(failure: failure) { try FilterSettings() }
            #expect(provider.handleNewFlow(NEFilterSocketFlow.make(to: ("10.0.0.1", 1))).stubKind == verdict)
        }
    }

    @Test func settingsThatCannotBeReadStopTheStart() async throws {
        let provider = TestProvider { try FilterSettings(json: "{") }
        let framework = Framework(provider)
        let error = await provider.start() as? FlowsieveError
        #expect(error?.code == .invalidSettings)
        #expect(error?.line == 1)
        #expect(framework.ruleCount == 0)
        #expect(provider.lines.contains { $0.hasPrefix("not started: ") })
    }

    @Test func settingsComeFromTheVendorConfiguration() async throws {
        final class Plain: FlowsieveDataProvider, @unchecked Sendable {}
        let provider = Plain()
        #expect(throws: FlowsieveError.self) { try provider.loadSettings() }
        let text = #"{"rules": [], "defaultAction": "drop"}"#
        for given in [text as Any, Data(text.utf8)] {
            provider.filterConfiguration.vendorConfiguration = ["flowsieveSettings": given]
            #expect(try provider.loadSettings().defaultAction == .drop)
        }
    }

    @Test func aRefusedFirstStagePutsTheFormerSettingsBack() async throws {
        let framework = try await started([rule(.drop, to: "10.0.0.1", 32)], .allow, stage: .everything)
        let flow = NEFilterSocketFlow.make(to: ("10.0.0.1", 443))
        #expect(try framework.run(flow) == .provider(.drop, atData: false))
        framework.refuse(true)
        let open = try FilterSettings(rules: [], defaultAction: .allow)
        #expect(await framework.provider.reload(open) is StubRefusal)
        #expect(try framework.run(flow) == .provider(.drop, atData: false))
        framework.refuse(false)
        #expect(await framework.provider.reload(open) == nil)
        #expect(try framework.run(flow) == .provider(.allow, atData: false))
    }

    @Test func settingsThatCannotBePlannedChangeNothing() async throws {
        let framework = try await started([rule(.drop, to: "10.0.0.1", 32)], .allow, stage: .planned(limit: 4))
        let flow = NEFilterSocketFlow.make(to: ("10.0.0.1", 443))
        #expect(try !framework.run(flow).isAllowed)
        // Only an extension can name a loopback flow of another protocol.
        let icmp = try FilterSettings(
            rules: [rule(.drop, to: "127.0.0.1", 32, from: nil, 0, .number(1), .any)], defaultAction: .allow)
        let error = await framework.provider.reload(icmp) as? FlowsieveError
        #expect(error?.code == .noPlan)
        #expect(try !framework.run(flow).isAllowed)
    }
}

@Suite struct ReloadTests {
    @Test func settingsThatAreTooLargeLeaveNobodyWaiting() async throws {
        let provider = TestProvider(maxBytes: 60_000) { try FilterSettings(rules: [], defaultAction: .allow) }
        provider.stage = .everything
        let framework = Framework(provider)
        let host = NetworkRule(destinationHost: endpoint("example.com", "443"), protocol: .TCP)
        let named = try FilterSettings(
            rules: [FilterRule(networkRule: host, action: .drop)], defaultAction: .allow)
        #expect(await provider.reload(named) == nil)
        let many = (0..<3000).map { rule(.drop, to: nil, 0, from: "10.1.\($0 / 100).\($0 % 100 * 2)", 32) }
        let tooLarge = await provider.reload(try FilterSettings(rules: many, defaultAction: .allow))
        #expect((tooLarge as? FlowsieveError)?.code == .matcherTooLarge)
        let flow = NEFilterSocketFlow.make(to: ("198.51.100.7", 443))
        #expect(try framework.run(flow) == .provider(.allow, atData: false))
        #expect(try provider.matcher().generation == provider.statistics().generation)
    }

    @Test func reloadsWhileFlowsAreDecidedGiveOneAnswerOrTheOther() async throws {
        // Either all hosts of the network are dropped or none is, so that each decision tells.
        let closed = try FilterSettings(rules: [rule(.drop, to: "10.0.0.0", 24)], defaultAction: .allow)
        let open = try FilterSettings(rules: [rule(.allow, to: "10.0.0.0", 24)], defaultAction: .drop)
        let framework = try await started([rule(.drop, to: "10.0.0.0", 24)], .allow, stage: .everything)
        let provider = framework.provider
        let wrong = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    var wrong = 0
                    for _ in 0..<10_000 {
                        let inside = provider.decide(.make(to: ("10.0.0.9", 443)))
                        let outside = provider.decide(.make(to: ("10.0.1.9", 443)))
                        // Generations are even for the settings that are closed: 1 is the start.
                        let isClosed = { (decision: Decision) in decision.generation % 2 == 1 }
                        if (inside.action == .drop) != isClosed(inside) { wrong += 1 }
                        if (outside.action == .allow) != isClosed(outside) { wrong += 1 }
                    }
                    return wrong
                }
            }
            group.addTask {
                var wrong = 0
                for step in 0..<100 {
                    wrong += await provider.reload(step % 2 == 0 ? open : closed) == nil ? 0 : 1
                }
                return wrong
            }
            return await group.reduce(0, +)
        }
        #expect(wrong == 0)
        #expect(provider.statistics().generation == 101)
    }

    @Test func reloadsAreDoneOneAfterTheOther() async throws {
        let framework = try await started([], .filterData)
        let inside = Counter()
        let apply = framework.provider.stubApply
        framework.provider.stubApply = { settings, done in
            inside.enter()
            apply(settings) { error in
                inside.leave()
                done(error)
            }
        }
        await withTaskGroup(of: Void.self) { group in
            for index in 0..<20 {
                group.addTask {
                    guard let settings = try? FilterSettings(rules: [rule(.drop, to: "10.0.0.\(index)", 32)])
                    else { return }
                    _ = await framework.provider.reload(settings)
                }
            }
        }
        #expect(inside.most == 1)
        #expect(framework.provider.statistics().generation == 21)
    }
}

@Suite struct StopTests {
    @Test func aStopEndsReloadsThatTheFrameworkDoesNotAnswer() async throws {
        let framework = try await started([rule(.drop, to: "10.0.0.1", 32)], .allow, stage: .everything)
        let provider = framework.provider
        let flow = NEFilterSocketFlow.make(to: ("10.0.0.1", 443))
        let (apply, unanswered, ended) = (provider.stubApply, Kept<(Error?) -> Void>(), Kept<Error?>())
        provider.stubApply = { _, done in unanswered.add(done) }
        let open = try FilterSettings(rules: [], defaultAction: .allow)
        for _ in 0..<3 {
            provider.reload(open) { error in ended.add(error) }
        }
        #expect(await unanswered.reaches(1))
        await withCheckedContinuation { done in
            provider.stopFilter(with: .userInitiated) { done.resume() }
        }
        try #require(await ended.reaches(3))
        #expect(ended.all.allSatisfy { $0.map { String(describing: $0) }?.contains("stopped") == true })
        // The next works, and what the framework says of the first then puts nothing back.
        provider.stubApply = apply
        let closed = try FilterSettings(rules: [rule(.drop, to: "10.0.0.0", 8)], defaultAction: .allow)
        #expect(await provider.reload(closed) == nil)
        let generation = provider.statistics().generation
        unanswered.all[0](StubRefusal(description: "late"))
        #expect(await provider.reload(closed) == nil)
        #expect(try framework.run(flow) == .provider(.drop, atData: false))
        #expect(provider.statistics().generation == generation + 1)
        #expect(ended.all.count == 3)
        // Nor does it put settings in force that it never answered for.
        framework.refuse(true)
        #expect(await provider.reload(open) is StubRefusal)
        #expect(try framework.run(flow) == .provider(.drop, atData: false))
    }

    @Test func aStopBeforeTheFirstAnswerEndsTheStart() async throws {
        let settings = try FilterSettings(rules: [], defaultAction: .allow)
        let provider = TestProvider { settings }
        let (unanswered, ended) = (Kept<(Error?) -> Void>(), Kept<Error?>())
        provider.stubApply = { _, done in unanswered.add(done) }
        provider.startFilter { error in ended.add(error) }
        #expect(await unanswered.reaches(1))
        provider.stopFilter(with: .userInitiated) {}
        try #require(await ended.reaches(1))
        unanswered.all[0](nil)
        provider.stubApply = { _, done in done(nil) }
        #expect(await provider.start() == nil)
        #expect(ended.all.count == 1)
    }
}

/// What was given by other threads.
private final class Kept<Value>: @unchecked Sendable {
    private let lock = NSLock()
    private var values: [Value] = []

    var all: [Value] { lock.withLock { values } }
    func add(_ value: Value) { lock.withLock { values.append(value) } }

    func reaches(_ count: Int) async -> Bool {
        for _ in 0..<1000 where all.count < count {
            try? await Task.sleep(nanoseconds: 5_000_000)
        }
        return all.count == count
    }
}

@Suite struct LogTests {
    @Test func flowsAreCountedAndNotLogged() async throws {
        let framework = try await started([rule(.drop, to: "10.0.0.1", 32)], .allow, stage: .everything)
        let lines = framework.provider.lines
        for _ in 0..<50 { _ = try framework.run(.make(to: ("10.0.0.1", 443))) }
        _ = try framework.run(.make(to: ("10.0.0.2", 443)))
        #expect(framework.provider.lines == lines)
        let hits = framework.provider.statistics().hits
        #expect(hits?.byRule == 50)
        #expect(hits?.byDefault == 1)
        await withCheckedContinuation { done in
            framework.provider.stopFilter(with: .userInitiated) { done.resume() }
        }
        let last = try #require(framework.provider.lines.last)
        #expect(last.hasPrefix("stopped, reason 1: generation 1, 50 decisions by rules, 1 by default"))
    }

    @Test func loggedFlowsKeepTheirEndpointsPrivate() async throws {
        let framework = try await started([rule(.drop, to: "10.0.0.1", 32)], .allow, stage: .everything)
        framework.provider.isLogging = true
        _ = try framework.run(.make(to: ("10.0.0.1", 443), name: "secret.example.com"))
        let lines = framework.provider.lines.suffix(2)
        #expect(lines.first == "Got a new flow with local endpoint <private>, remote endpoint <private>, direction outbound")
        #expect(lines.last == "action drop, rule 0")
        #expect(!framework.provider.lines.contains { $0.contains("10.0.0.1") || $0.contains("secret") })
    }
}

private final class Counter: @unchecked Sendable {
    private let lock = NSLock()
    private var now = 0
    private(set) var most = 0

    func enter() { lock.withLock { now += 1; most = max(most, now) } }
    func leave() { lock.withLock { now -= 1 } }
}

/// The error of what should throw one.
func failure<Result>(_ body: () throws -> Result) -> FlowsieveError? {
    do {
        _ = try body()
        return nil
    } catch {
        return error as? FlowsieveError
    }
}
