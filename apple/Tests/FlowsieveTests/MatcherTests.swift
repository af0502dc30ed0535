import CFlowsieve
import Foundation
import Testing

@testable import Flowsieve

/// The filter of the README's story, which meant one host and was asked about every address.
let story = """
    {"rules": [{"networkRule": {"remoteNetwork": {"hostname": "111.111.111.111", "port": "0"},
        "remotePrefix": PREFIX, "localNetwork": null, "localPrefix": 0, "protocol": "TCP",
        "direction": "outbound"}, "action": "filterData", "label": "outgoing TCP"}],
     "defaultAction": "allow"}
    """

func flow(
    to remote: (String, String)?, from local: (String, String)? = ("0.0.0.0", "0"),
    protocolNumber: UInt8 = 6, direction: TrafficDirection = .outbound, name: String? = nil
) throws -> SocketFlow {
    var flow = SocketFlow(protocolNumber: protocolNumber, direction: direction)
    flow.remoteHostname = name
    if let remote { try flow.setRemoteEndpoint(hostname: remote.0, port: remote.1) }
    if let local { try flow.setLocalEndpoint(hostname: local.0, port: local.1) }
    return flow
}

@Suite struct MatcherTests {
    @Test func aPrefixOfZeroCatchesEveryAddressAndOneOf32TheHost() throws {
        let (other, host) = (("111.222.111.222", "80"), ("111.111.111.111", "80"))
        let wide = try FlowMatcher(FilterSettings(json: story.replacing("PREFIX", with: "0")))
        #expect(wide.decide(try flow(to: other)).action == .filterData)
        let meant = try FlowMatcher(FilterSettings(json: story.replacing("PREFIX", with: "32")))
        #expect(meant.decide(try flow(to: other)).action == .allow)
        let decision = meant.decide(try flow(to: host))
        #expect(decision.action == .filterData)
        #expect(decision.rule == 0)
        #expect(decision.reason == .rule)
        #expect(decision.isFinal)
        #expect(decision.label == "outgoing TCP")
    }

    @Test func aLabelOutlivesTheMatcher() throws {
        var decision: Decision?
        do {
            let matcher = try FlowMatcher(FilterSettings(json: story.replacing("PREFIX", with: "32")))
            decision = matcher.decide(try flow(to: ("111.111.111.111", "80")))
        }
        #expect(decision?.label == "outgoing TCP")
    }

    @Test func rulesBuiltInCodeAreThoseReadFromText() throws {
        let built = try FilterSettings(rules: sampleRules, defaultAction: .drop)
        let rules = try built.rules
        #expect(rules == sampleRules)
        #expect(built.defaultAction == .drop)
        let read = try FilterSettings(json: built.json())
        let readRules = try read.rules
        #expect(readRules == sampleRules)
        #expect(read.defaultAction == .drop)
    }

    /// As a newer library may have; a rule left out, or one of any protocol in its place, would change verdicts.
    @Test func aRuleWithUnknownNumbersIsNone() {
        var known = fsv_rule()
        known.kind = UInt8(FSV_RULE_DESTINATION_NETWORK)
        (known.action, known.direction) = (FilterAction.drop.rawValue, TrafficDirection.outbound.rawValue)
        known.protocol = fsv_protocol(FSV_PROTOCOL_ANY)
        #expect(FilterRule(known)?.networkRule.matchProtocol == .any)
        let changes: [(inout fsv_rule) -> Void] = [
            { $0.kind = 77 }, { $0.action = 77 }, { $0.direction = 77 }, { $0.protocol = 7777 },
        ]
        for change in changes {
            var rule = known
            change(&rule)
            #expect(FilterRule(rule) == nil)
        }
    }

    @Test func settingsSayWhetherTheLocalEndpointCanMatter() throws {
        #expect(try FilterSettings(rules: sampleRules).hasLocalRules)
        #expect(try !FilterSettings(json: story.replacing("PREFIX", with: "32")).hasLocalRules)
    }

    @Test func anErrorInTextSaysWhere() throws {
        let text = "{\"rules\": [\n  {\"networkRule\": {\"destinationNetwork\": \"10.0.0.1\",\n"
            + "    \"destinationPrefix\": 33, \"protocol\": \"TCP\"}, \"action\": \"drop\"}]}"
        let error = failure { try FilterSettings(json: text) }
        #expect(error?.code == .invalidSettings)
        #expect(error?.line == 3)
        #expect(error?.column != nil)
        #expect(error?.rule == 0)
        #expect(error?.message.contains("33") == true)
    }

    @Test func anInvalidRuleSaysWhatIsWrong() throws {
        let network = HostEndpoint(hostname: "10.0.0.0", port: "0")
        for (prefix, code) in [(33, FlowsieveError.Code.invalidPrefix), (-1, .invalidPrefix)] {
            let rule = NetworkRule(destinationNetwork: network, prefix: prefix, protocol: .any)
            let error = failure {
                try FilterSettings(rules: [FilterRule(networkRule: rule, action: .drop)])
            }
            #expect(error?.code == code, "prefix \(prefix)")
        }
        let port = NetworkRule(
            destinationNetwork: HostEndpoint(hostname: "10.0.0.0", port: "https"), prefix: 8, protocol: .any)
        let error = failure {
            try FilterSettings(rules: [FilterRule(networkRule: port, action: .drop)])
        }
        #expect(error?.code == .invalidPort)
    }

    @Test func zoneIdsAreComparedWhereBothHaveOne() throws {
        let rule = NetworkRule(
            remoteNetwork: HostEndpoint(hostname: "fe80::1%en0", port: "0"), remotePrefix: 128,
            localNetwork: nil, localPrefix: 0, protocol: .any, direction: .any)
        let settings = try FilterSettings(
            rules: [FilterRule(networkRule: rule, action: .drop)], defaultAction: .allow)
        let matcher = try FlowMatcher(settings)
        for (host, action) in [
            ("fe80::1%en0", FilterAction.drop), ("fe80::1%en1", .allow), ("fe80::1", .drop),
        ] {
            #expect(matcher.decide(try flow(to: (host, "443"), from: nil)).action == action, "\(host)")
        }
        // As bytes, it is the same flow.
        var bytes = [UInt8](repeating: 0, count: 16)
        (bytes[0], bytes[1], bytes[15]) = (0xfe, 0x80, 1)
        for (zone, action) in [("en0", FilterAction.drop), ("en1", .allow), (nil, .drop)] {
            var flow = SocketFlow(protocolNumber: 6, direction: .outbound)
            try bytes.withUnsafeBytes { bytes in
                try flow.setRemoteAddress(bytes, port: 443, zone: zone)
            }
            #expect(matcher.decide(flow).action == action, "\(zone ?? "no zone")")
        }
    }

    @Test func aHostRuleNeedsAName() throws {
        let matcher = try FlowMatcher(FilterSettings(rules: [hostRule], defaultAction: .allow))
        let remote = ("93.184.216.34", "443")
        #expect(matcher.decide(try flow(to: remote, name: "www.example.com")).action == .drop)
        #expect(matcher.decide(try flow(to: remote, name: "www.example.org")).action == .allow)
        // Longer than a Swift string keeps in itself.
        let long = String(repeating: "a.", count: 40) + "example.com"
        #expect(matcher.decide(try flow(to: remote, name: long)).action == .drop)
        let without = matcher.decide(try flow(to: remote))
        #expect(without.action == .allow)
        #expect(without.reason == .pending)
        #expect(!without.isFinal)
        // An endpoint that is a name is the name of the flow, unless it has another (S-52).
        #expect(matcher.decide(try flow(to: ("www.example.com", "443"))).action == .drop)
        let named = try flow(to: ("www.example.com", "443"), name: "www.example.org")
        #expect(matcher.decide(named).action == .allow)
    }

    @Test func aFlowSaysWhetherItsLocalEndpointIsKnown() throws {
        for (local, isKnown) in [
            (("0.0.0.0", "0"), false), (("::", "0"), false), (("0.0.0.0", "5353"), false),
            (("192.168.1.5", "0"), false), (("192.168.1.5", "50000"), true), (("fe80::1%en0", "50000"), true),
        ] {
            #expect(try flow(to: nil, from: local).isLocalEndpointKnown == isKnown, "\(local)")
        }
        #expect(try !flow(to: nil, from: nil).isLocalEndpointKnown)
    }

    @Test func anEndpointThatIsWrongChangesNothing() throws {
        var flow = try flow(to: ("10.0.0.1", "80"))
        let before = withUnsafeBytes(of: flow.raw) { Array($0) }
        for (host, port, code) in [
            ("10.0.0.1:80", "80", FlowsieveError.Code.invalidHost), ("10.0.0.1", "http", .invalidPort),
            ("10.0.0.1", "65536", .invalidPort), ("fe80::1%", "80", .invalidScope),
        ] {
            let error = failure {
                try flow.setRemoteEndpoint(hostname: host, port: port)
            }
            #expect(error?.code == code, "\(host) \(port)")
            #expect(error?.message.contains(host) == true)
        }
        #expect(withUnsafeBytes(of: flow.raw) { Array($0) } == before)
        #expect(throws: FlowsieveError.self) {
            try flow.setLocalEndpoint(hostname: "example.com", port: "80")
        }
        for (count, zone) in [(5, nil), (5, "en0"), (16, "a-zone-of-16-too")] {
            #expect(throws: FlowsieveError.self) {
                try [UInt8](repeating: 1, count: count).withUnsafeBytes { bytes in
                    try flow.setRemoteAddress(bytes, port: 1, zone: zone)
                }
            }
            #expect(withUnsafeBytes(of: flow.raw) { Array($0) } == before)
        }
    }

    @Test func anAddressThatIsSetAgainHasTheZoneThatIsGivenWithIt() throws {
        var flow = SocketFlow(protocolNumber: 6, direction: .outbound)
        let bytes: [UInt8] = [0xfe, 0x80] + [UInt8](repeating: 0, count: 13) + [1]
        for zone in ["en0", nil, "en1"] {
            try bytes.withUnsafeBytes { bytes in
                try flow.setRemoteAddress(bytes, port: 443, zone: zone)
                try flow.setLocalAddress(bytes, port: 50000, zone: zone)
            }
            let scopes = UInt32(FSV_KNOWN_REMOTE_SCOPE | FSV_KNOWN_LOCAL_SCOPE)
            #expect(flow.raw.known & scopes == (zone == nil ? 0 : scopes))
        }
        #expect(withUnsafeBytes(of: flow.raw.remote_address) { Array($0) } == bytes)
        #expect(withUnsafeBytes(of: flow.raw.local_address) { Array($0) } == bytes)
    }

    @Test func aNameOfAnEndpointGoesWithIt() throws {
        var flow = SocketFlow(protocolNumber: 6, direction: .outbound)
        try flow.setRemoteEndpoint(hostname: "a.example.com", port: "443")
        #expect(flow.remoteHostname == "a.example.com")
        try flow.setRemoteEndpoint(hostname: "b.example.org", port: "443")
        #expect(flow.remoteHostname == "b.example.org")
        #expect(throws: FlowsieveError.self) { try flow.setRemoteEndpoint(hostname: "c.d", port: "x") }
        #expect(flow.remoteHostname == "b.example.org")
        try flow.setRemoteEndpoint(hostname: "10.0.0.1", port: "443")
        #expect(flow.remoteHostname == nil)
        try flow.setRemoteEndpoint(hostname: "a.example.com", port: "443")
        try withUnsafeBytes(of: UInt32(0x0a00_0001).bigEndian) { address in
            try flow.setRemoteAddress(address, port: 443)
        }
        #expect(flow.remoteHostname == nil)
        // One that was set stays.
        for endpoint in ["a.example.com", "10.0.0.1"] {
            flow.remoteHostname = "set.example.com"
            try flow.setRemoteEndpoint(hostname: endpoint, port: "443")
            #expect(flow.remoteHostname == "set.example.com")
        }
    }

    @Test func aHostNameInANetworkIsReadOnRequest() throws {
        let text = #"{"rules": [{"networkRule": {"remoteNetwork": {"hostname": "example.com", "port": "443"}, "remotePrefix": 0, "localNetwork": null, "localPrefix": 0, "protocol": "any", "direction": "outbound"}, "action": "drop"}], "defaultAction": "allow"}"#
        #expect(throws: FlowsieveError.self) { try FilterSettings(json: text) }
        let settings = try FilterSettings(json: text, options: .hostnameInNetwork)
        var flow = SocketFlow(protocolNumber: 6, direction: .outbound)
        try flow.setRemoteEndpoint(hostname: "www.example.com", port: "443")
        #expect(try FlowMatcher(settings).decide(flow).action == .drop)
        #expect(try FilterSettings(json: Data(text.utf8), options: .hostnameInNetwork).ruleCount == 1)
    }

    @Test func aHostNameCanBeTakenAway() throws {
        let matcher = try FlowMatcher(FilterSettings(rules: [hostRule], defaultAction: .allow))
        var flow = try flow(to: ("93.184.216.34", "443"), name: "example.com")
        #expect(flow.remoteHostname == "example.com")
        #expect(matcher.decide(flow).action == .drop)
        flow.remoteHostname = nil
        #expect(flow.remoteHostname == nil)
        #expect(matcher.decide(flow).reason == .pending)
        // Empty, it counts as missing.
        flow.remoteHostname = ""
        #expect(flow.remoteHostname == "")
        #expect(matcher.decide(flow).reason == .pending)
        #expect(matcher.decisions(for: [flow]).map(\.reason) == [.pending])
    }

    @Test func aFlowThatCannotBeDecidedGetsTheFailureAction() throws {
        for failure in FilterAction.allCases {
            var options = MatcherOptions()
            options.failureAction = failure
            options.countsHits = true
            let settings = try FilterSettings(rules: sampleRules, defaultAction: .allow)
            let matcher = try FlowMatcher(settings, options: options)
            var broken = try flow(to: ("10.0.0.1", "80"))
            broken.raw.known |= 1 << 31
            let decision = matcher.decide(broken)
            #expect(decision.action == failure)
            #expect(decision.reason == .failure(.invalidFlow))
            #expect(try matcher.hits().failed == 1)
        }
    }

    @Test func countersCountByRuleDefaultAndLoopback() throws {
        var options = MatcherOptions()
        options.countsHits = true
        let rules = try FilterSettings(rules: [hostRule], defaultAction: .drop)
        let matcher = try FlowMatcher(rules, options: options)
        _ = matcher.decide(try flow(to: ("10.0.0.1", "443"), name: "example.com"))
        _ = matcher.decide(try flow(to: ("10.0.0.1", "443"), name: "example.org"))
        let loopback = matcher.decide(try flow(to: ("127.0.0.1", "443"), name: "localhost"))
        #expect(loopback.action == .allow)
        #expect(loopback.reason == .loopback)
        let hits = try matcher.hits()
        #expect((hits.byRule, hits.byDefault, hits.byLoopback) == (1, 1, 1))
        #expect(try matcher.ruleHits() == [1])
        #expect(throws: FlowsieveError.self) { try FlowMatcher(rules).hits() }
    }

    @Test func anExplanationNamesTheRules() throws {
        let matcher = try FlowMatcher(FilterSettings(json: story.replacing("PREFIX", with: "32")))
        let text = try matcher.explain(try flow(to: ("111.222.111.222", "80")))
        #expect(text.contains("111.111.111.111"))
        #expect(text.contains("allow"))
    }

    @Test func aMatcherKeepsToItsBudget() throws {
        var options = MatcherOptions()
        options.maxBytes = 1
        let settings = try FilterSettings(rules: sampleRules)
        let error = failure { try FlowMatcher(settings, options: options) }
        #expect(error?.code == .matcherTooLarge)
    }

    @Test func thousandsOfRulesAreTooManyForTheFrameworkAndArePlanned() throws {
        let settings = try FilterSettings(rules: manyRules(1500), defaultAction: .allow)
        #expect(try settings.frameworkIssues().count == 1)
        let first = try settings.firstStage(limit: 100)
        #expect(first.ruleCount <= 100)
        #expect(try first.frameworkIssues().isEmpty)
        let error = failure { try settings.firstStage(limit: -1) }
        #expect(error?.code == .invalidArgument)
    }
}

@Suite struct BatchTests {
    /// More than two groups, no two of the same name or address, of every kind that a flow may be.
    private func flows(_ count: Int = 300) throws -> [SocketFlow] {
        try (0..<count).map { index in
            // Short names stand in the string itself, long ones elsewhere, and every fifth flow has none.
            let names = ["h\(index).test", "a-host-of-a-long-name-\(index).example.com", "", "other-\(index)"]
            let name = index % 5 == 0 ? nil : names[index % 4]
            switch index % 3 {
            case 0: return try flow(to: ("10.1.\(index / 100).\(index % 100)", "443"), name: name)
            case 1: return try flow(to: ("fe80::\(index)%en\(index % 2)", "1500"), from: nil, name: name)
            default: return try flow(to: ("h\(index).test", "443"), from: ("192.168.1.5", "5000"), name: name)
            }
        }
    }

    /// Rules of names and of addresses, so that a name that is mistaken for another decides otherwise.
    private func rules() -> [FilterRule] {
        let named = (0..<300).flatMap { index in
            ["h\(index).test", "a-host-of-a-long-name-\(index).example.com"].map { name in
                FilterRule(
                    networkRule: NetworkRule(
                        destinationHost: HostEndpoint(hostname: name, port: "0"), protocol: .any),
                    action: .drop, label: index % 2 == 0 ? "to \(name)" : nil)
            }
        }
        return named + sampleRules + manyRules(200)
    }

    @Test func flowsAreDecidedTogetherAsOneByOne() throws {
        var options = MatcherOptions()
        options.countsPending = true
        let matcher = try FlowMatcher(FilterSettings(rules: rules(), defaultAction: .allow), options: options)
        let flows = try flows()
        let expected = flows.map { String(describing: Seen(matcher.decide($0))) }
        #expect(Set(expected).count > 100)
        for count in [0, 1, 127, 128, 129, 256, 300] {
            let together = matcher.decisions(for: flows.prefix(count)).map { String(describing: Seen($0)) }
            #expect(together == Array(expected.prefix(count)), "\(count) flows")
        }
        // Of flows that do not stand in memory one after the other.
        let lazily = matcher.decisions(for: flows.indices.lazy.reversed().map { flows[$0] })
        #expect(lazily.map { String(describing: Seen($0)) } == expected.reversed())
        let live = try LiveFlowMatcher(FilterSettings(rules: rules(), defaultAction: .allow), options: options)
        #expect(live.decisions(for: flows).map { String(describing: Seen($0)) } == expected)
    }

    @Test func aFlowIsDecidedWhereItStands() throws {
        var options = MatcherOptions()
        options.countsPending = true
        let settings = try FilterSettings(rules: rules(), defaultAction: .allow)
        let (matcher, live) = (
            try FlowMatcher(settings, options: options), try LiveFlowMatcher(settings, options: options)
        )
        var flows = try flows()
        flows[0].remoteHostname = String(repeating: "a", count: 65537)
        #expect(flows.contains { $0.remoteHostname != nil } && flows.contains { $0.remoteHostname == nil })
        for index in flows.indices {
            let (expected, name) = (String(describing: Seen(matcher.decide(flows[index]))), flows[index].remoteHostname)
            let explained = try? matcher.explain(flows[index])
            for _ in 0..<2 {
                #expect(String(describing: Seen(matcher.decide(&flows[index]))) == expected, "flow \(index)")
                #expect(String(describing: Seen(live.decide(&flows[index]))) == expected, "flow \(index)")
            }
            // It is the same afterwards, and holds no name of which the memory is gone.
            #expect(flows[index].remoteHostname == name)
            #expect((try? matcher.explain(flows[index])) == explained)
            flows[index].remoteHostname = nil
            let unnamed = String(describing: Seen(matcher.decide(flows[index])))
            #expect(String(describing: Seen(matcher.decide(&flows[index]))) == unnamed, "flow \(index)")
        }
    }

    @Test func aFlowThatCannotBeDecidedSpoilsNoOther() throws {
        var options = MatcherOptions()
        options.failureAction = .filterData
        let matcher = try FlowMatcher(FilterSettings(rules: rules(), defaultAction: .allow), options: options)
        var flows = try flows()
        let expected = flows.map { Seen(matcher.decide($0)) }
        flows[0].remoteHostname = String(repeating: "a", count: 65537)
        try [UInt8](repeating: 1, count: 16).withUnsafeBytes { bytes in
            try flows[130].setRemoteAddress(bytes, port: 1, zone: "no zone")
        }
        for decisions in [
            matcher.decisions(for: flows),
            try LiveFlowMatcher(FilterSettings(rules: rules(), defaultAction: .allow), options: options)
                .decisions(for: flows),
        ] {
            for (index, decision) in decisions.enumerated() {
                switch index {
                case 0: #expect(decision.reason == .failure(.tooLarge))
                case 130: #expect(decision.reason == .failure(.invalidScope))
                default: #expect(Seen(decision) == expected[index], "flow \(index)")
                }
            }
            #expect((decisions[0].action, decisions[130].action) == (.filterData, .filterData))
        }
    }

    @Test func anArrayOfDecisionsIsUsedAgain() throws {
        let matcher = try FlowMatcher(FilterSettings(rules: rules(), defaultAction: .allow))
        let flows = try flows()
        var decisions: [Decision] = []
        matcher.decide(flows, into: &decisions)
        let place = decisions.withUnsafeBufferPointer(\.baseAddress)
        for count in [300, 7, 0, 200] {
            matcher.decide(flows.suffix(count), into: &decisions)
            #expect(decisions.map { Seen($0) } == flows.suffix(count).map { Seen(matcher.decide($0)) })
            #expect(decisions.withUnsafeBufferPointer(\.baseAddress) == place)
        }
    }

    @Test func labelsOutliveTheMatchers() throws {
        var decisions: [Decision] = []
        do {
            let settings = try FilterSettings(json: story.replacing("PREFIX", with: "32"))
            let flows = [try flow(to: ("111.111.111.111", "80"))]
            decisions += try FlowMatcher(settings).decisions(for: flows)
            let live = try LiveFlowMatcher(settings)
            decisions += live.decisions(for: flows)
            try live.replace(with: FilterSettings())
        }
        #expect(decisions.map(\.label) == ["outgoing TCP", "outgoing TCP"])
    }

    @Test func decisionsTogetherAreCounted() throws {
        var options = MatcherOptions()
        options.countsHits = true
        let live = try LiveFlowMatcher(FilterSettings(rules: manyRules(100)), options: options)
        _ = live.decisions(for: try (0..<300).map { try flow(to: ("10.1.0.\($0 % 200)", "443")) })
        let hits = try live.matcher().hits()
        #expect((hits.byRule, hits.byDefault, hits.failed) == (150, 150, 0))
    }
}

/// All that a decision says.
private struct Seen: Equatable {
    let action: FilterAction
    let reason: Decision.Reason
    let rule: Int?
    let isFinal: Bool
    let pendingCount: Int
    let generation: UInt64
    let label: String?

    init(_ decision: Decision) {
        (action, reason, rule) = (decision.action, decision.reason, decision.rule)
        (isFinal, pendingCount) = (decision.isFinal, decision.pendingCount)
        (generation, label) = (decision.generation, decision.label)
    }
}

@Suite struct LiveTests {
    /// Generation n drops flows to 10.0.0.n alone.
    private func settings(_ generation: UInt64) throws -> FilterSettings {
        let host = HostEndpoint(hostname: "10.0.0.\(generation % 200 + 1)", port: "0")
        let rule = NetworkRule(destinationNetwork: host, prefix: 32, protocol: .any)
        let labelled = FilterRule(networkRule: rule, action: .drop, label: "generation \(generation)")
        return try FilterSettings(rules: [labelled], defaultAction: .allow)
    }

    @Test func everyDecisionIsOfOneGenerationWhileOthersReplace() async throws {
        let live = try LiveFlowMatcher(settings(0))
        let wrong = try await withThrowingTaskGroup(of: Int.self) { group in
            for start in 0..<3 {
                group.addTask {
                    var wrong = 0
                    for step in 0..<20_000 {
                        let last = UInt64((start * 67 + step) % 200)
                        let decision = live.decide(try flow(to: ("10.0.0.\(last + 1)", "443"), from: nil))
                        let isMeant = decision.generation % 200 == last
                        if (decision.action == .drop) != isMeant { wrong += 1 }
                        if decision.label != (isMeant ? "generation \(decision.generation)" : nil) {
                            wrong += 1
                        }
                    }
                    return wrong
                }
            }
            group.addTask {
                for generation in UInt64(1)...500 {
                    let given = try live.replace(with: self.settings(generation))
                    guard given == generation else { return 1 }
                }
                return 0
            }
            return try await group.reduce(0, +)
        }
        #expect(wrong == 0)
        #expect(live.generation == 500)
        #expect(try live.matcher().generation == 500)
    }

    @Test func flowsTogetherAreOfOneGenerationWhileOthersReplace() async throws {
        let live = try LiveFlowMatcher(settings(0))
        let flows = try (0..<600).map { try flow(to: ("10.0.0.\($0 % 200 + 1)", "443"), from: nil) }
        let wrong = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<2 {
                group.addTask {
                    var wrong = 0
                    for _ in 0..<300 {
                        let decisions = live.decisions(for: flows)
                        let generation = decisions[0].generation
                        for (index, decision) in decisions.enumerated() {
                            let isMeant = generation % 200 == index % 200
                            let label = isMeant ? "generation \(generation)" : nil
                            if decision.generation != generation || decision.label != label
                                || (decision.action == .drop) != isMeant
                            {
                                wrong += 1
                            }
                        }
                    }
                    return wrong
                }
            }
            group.addTask {
                for generation in UInt64(1)...1000 {
                    try live.replace(with: self.settings(generation))
                }
                return 0
            }
            return try await group.reduce(0, +)
        }
        #expect(wrong == 0)
    }

    @Test func settingsThatCannotBeCompiledChangeNothing() throws {
        var options = MatcherOptions()
        options.maxBytes = UInt64(try FlowMatcher(settings(0)).sizeInBytes + 2000)
        let live = try LiveFlowMatcher(settings(0), options: options)
        let many = try FilterSettings(rules: manyRules(1000), defaultAction: .drop)
        #expect(throws: FlowsieveError.self) { try live.replace(with: many) }
        #expect(live.generation == 0)
        #expect(live.decide(try flow(to: ("10.0.0.1", "443"))).action == .drop)
    }
}

let hostRule = FilterRule(
    networkRule: NetworkRule(
        destinationHost: HostEndpoint(hostname: "example.com", port: "443"), protocol: .TCP),
    action: .drop)

let sampleRules = [
    FilterRule(
        networkRule: NetworkRule(
            destinationNetwork: HostEndpoint(hostname: "10.0.0.0", port: "443"), prefix: 8, protocol: .TCP),
        action: .drop, label: "intranet"),
    hostRule,
    FilterRule(
        networkRule: NetworkRule(
            remoteNetwork: nil, remotePrefix: 0, localNetwork: HostEndpoint(hostname: "::1", port: "22"),
            localPrefix: 128, protocol: .any, direction: .inbound),
        action: .filterData, label: ""),
    FilterRule(
        networkRule: NetworkRule(
            remoteNetwork: HostEndpoint(hostname: "fe80::1%en0", port: "1000-2000"), remotePrefix: 64,
            localNetwork: nil, localPrefix: 0, protocol: .number(132), direction: .any),
        action: .allow),
]

/// Drops every second address of a network, so that no two merge.
func manyRules(_ count: Int) -> [FilterRule] {
    (0..<count).map { index in
        let host = HostEndpoint(hostname: "10.1.\(index / 100).\(index % 100 * 2)", port: "0")
        let rule = NetworkRule(destinationNetwork: host, prefix: 32, protocol: .any)
        return FilterRule(networkRule: rule, action: .drop)
    }
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
