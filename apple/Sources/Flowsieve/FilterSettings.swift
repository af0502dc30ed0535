import CFlowsieve
import Foundation

/// NEFilterSettings of any size: rules in order, and the action where none matches. Immutable.
public final class FilterSettings: @unchecked Sendable {
    // The C interface lets any number of threads read settings that nobody changes.
    let handle: OpaquePointer

    /// The most rules that the framework takes (S-61).
    public static let maxFrameworkRules = 1000

    private init(owning handle: OpaquePointer) { self.handle = handle }

    deinit { fsv_settings_free(handle) }

    /// Reads a settings file: JSON with Apple's property names. Nothing that is not understood is skipped.
    ///
    /// - Throws: an error with line, column and rule.
    public convenience init(
        json: some ContiguousBytes, options: ParseOptions = []
    ) throws(FlowsieveError) {
        var made: OpaquePointer?
        try FlowsieveError.check { error in
            json.withUnsafeBytes { bytes in
                fsv_settings_parse(bytes.characters, bytes.count, options.rawValue, &made, error)
            }
        }
        try self.init(made: made)
    }

    /// Reads a settings file from text.
    public convenience init(json: String, options: ParseOptions = []) throws(FlowsieveError) {
        try self.init(json: Array(json.utf8), options: options)
    }

    /// How a settings file is read.
    public struct ParseOptions: OptionSet, Hashable, Sendable {
        public let rawValue: UInt32

        public init(rawValue: UInt32) { self.rawValue = rawValue }

        /// A host name in a network initialiser makes a host rule of the rule's direction (S-46), and is no
        /// error. The framework is not given such a rule as it stands: it needs a first stage.
        public static let hostnameInNetwork = ParseOptions(rawValue: FSV_PARSE_HOSTNAME_IN_NETWORK)
    }

    /// Makes settings of rules.
    ///
    /// - Throws: what is wrong with the first rule that is not valid, with its index.
    public convenience init(
        rules: [FilterRule] = [], defaultAction: FilterAction = .filterData
    ) throws(FlowsieveError) {
        var made: OpaquePointer?
        try FlowsieveError.check(status: fsv_settings_new(defaultAction.rawValue, &made))
        try self.init(made: made)
        for rule in rules {
            try add(rule)
        }
    }

    private convenience init(made: OpaquePointer?) throws(FlowsieveError) {
        guard let made else { throw FlowsieveError(status: fsv_status(FSV_STATUS_PANIC)) }
        self.init(owning: made)
    }

    public var defaultAction: FilterAction {
        FilterAction(rawValue: fsv_settings_default_action(handle)) ?? .filterData
    }

    public var ruleCount: Int { fsv_settings_rule_count(handle) }

    /// The rules, read back. Linear in their number.
    ///
    /// - Throws: for a rule of a newer library with what this version of the package has no name for.
    public var rules: [FilterRule] {
        get throws(FlowsieveError) {
            var rules: [FilterRule] = []
            rules.reserveCapacity(ruleCount)
            for index in 0..<ruleCount {
                var rule = fsv_rule()
                rule.size = UInt32(MemoryLayout<fsv_rule>.size)
                let status = fsv_settings_rule(handle, index, &rule)
                guard status == FSV_STATUS_OK, let rule = FilterRule(rule) else {
                    throw FlowsieveError(
                        code: status == FSV_STATUS_OK ? .invalidSettings : .init(rawValue: status),
                        message: "rule \(index) cannot be read back")
                }
                rules.append(rule)
            }
            return rules
        }
    }

    /// Whether a rule has a local side, so that the local endpoint of a flow can matter.
    public var hasLocalRules: Bool {
        (0..<ruleCount).contains { index in
            var rule = fsv_rule()
            rule.size = UInt32(MemoryLayout<fsv_rule>.size)
            return fsv_settings_rule(handle, index, &rule) != FSV_STATUS_OK || rule.has_local != 0
        }
    }

    /// What the framework would refuse or cannot express, one text for each issue; empty if it takes the
    /// settings as they are.
    public func frameworkIssues() throws(FlowsieveError) -> [String] {
        let text = try Flowsieve.text { buffer, capacity, needed in
            fsv_settings_validate_for_framework(handle, buffer, capacity, needed)
        }
        return text.split(separator: "\n").map(String.init)
    }

    /// The settings as a settings file.
    public func json() throws(FlowsieveError) -> String {
        try text { buffer, capacity, needed in fsv_settings_write(handle, buffer, capacity, needed) }
    }

    /// Plans a first stage for the framework: at most `limit` rules that give every flow either the action
    /// of these settings or `filterData`, and send as little as they can to the extension. The plan is
    /// proven before it is returned. Takes seconds for 100,000 rules.
    ///
    /// - Throws: ``FlowsieveError/Code/noPlan``.
    public func firstStage(
        limit: Int = maxFrameworkRules, precedence: Precedence = .firstMatch
    ) throws(FlowsieveError) -> FilterSettings {
        guard limit >= 0 else {
            throw FlowsieveError(code: .invalidArgument, message: "\(limit) rules are no limit")
        }
        var planned: OpaquePointer?
        try FlowsieveError.check { error in
            fsv_settings_plan(handle, precedence.rawValue, limit, &planned, error)
        }
        return try FilterSettings(made: planned)
    }
}

/// Which of several matching rules decides.
public enum Precedence: UInt8, Hashable, Sendable {
    /// The first in the list: Apple's (S-60).
    case firstMatch = 0
    /// Extension: the one with the longest remote prefix, then the first.
    case longestPrefix = 1
}

extension FilterSettings {
    /// Only while the settings are being made, when nobody else has them.
    private func add(_ rule: FilterRule) throws(FlowsieveError) {
        let network = rule.networkRule
        let number = network.matchProtocol.number
        let (action, direction) = (rule.action.rawValue, network.matchDirection.rawValue)
        var label = rule.label ?? ""
        // Negative prefixes become ones that are out of range.
        let remotePrefix = UInt64(bitPattern: Int64(network.matchRemotePrefix ?? 0))
        let localPrefix = UInt64(bitPattern: Int64(network.matchLocalPrefix ?? 0))
        try FlowsieveError.check { error in
            withEndpoint(network.matchRemoteEndpoint) { remote in
                withEndpoint(network.matchLocalNetwork) { local in
                    label.withUTF8 { label in
                        let (text, count) = (rule.label == nil ? nil : label.characters, label.count)
                        return switch network.initializer {
                        case .destinationNetwork:
                            fsv_settings_add_destination_network(
                                handle, remote, remotePrefix, number, action, text, count, error)
                        case .destinationHost:
                            fsv_settings_add_destination_host(
                                handle, remote, number, action, text, count, error)
                        case .remoteNetwork:
                            fsv_settings_add_remote_network(
                                handle, remote, remotePrefix, local, localPrefix, number, direction,
                                action, text, count, error)
                        }
                    }
                }
            }
        }
    }
}

extension FilterRule {
    init?(_ rule: fsv_rule) {
        guard let action = FilterAction(rawValue: rule.action),
            let direction = TrafficDirection(rawValue: rule.direction),
            let number = RuleProtocol(number: rule.protocol),
            let initializer = NetworkRule.Initializer(rawValue: rule.kind)
        else { return nil }
        let remote =
            rule.has_remote == 0
            ? nil : HostEndpoint(hostname: string(rule.remote_hostname), port: string(rule.remote_port))
        let local =
            rule.has_local == 0
            ? nil : HostEndpoint(hostname: string(rule.local_hostname), port: string(rule.local_port))
        let prefix = { (bits: UInt64) in bits > 128 ? nil : Int(bits) }
        let network = NetworkRule(
            initializer, remote: remote, prefix(rule.remote_prefix), local: local,
            prefix(rule.local_prefix), number, direction)
        let label = rule.label.map { label in
            String(decoding: UnsafeRawBufferPointer(start: label, count: Int(rule.label_len)), as: UTF8.self)
        }
        self.init(networkRule: network, action: action, label: label)
    }
}

private typealias RuleProtocol = NetworkRule.`Protocol`

extension NetworkRule.`Protocol` {
    fileprivate var number: fsv_protocol {
        switch self {
        case .any: fsv_protocol(FSV_PROTOCOL_ANY)
        case .TCP: fsv_protocol(FSV_PROTOCOL_TCP)
        case .UDP: fsv_protocol(FSV_PROTOCOL_UDP)
        case .number(let number): fsv_protocol(number)
        }
    }

    fileprivate init?(number: fsv_protocol) {
        switch Int(number) {
        case FSV_PROTOCOL_ANY: self = .any
        case FSV_PROTOCOL_TCP: self = .TCP
        case FSV_PROTOCOL_UDP: self = .UDP
        case 0..<256: self = .number(UInt8(number))
        default: return nil
        }
    }
}

private func withEndpoint<Result>(
    _ endpoint: HostEndpoint?, _ body: (UnsafePointer<fsv_endpoint>?) -> Result
) -> Result {
    guard var endpoint else { return body(nil) }
    return endpoint.hostname.withUTF8 { host in
        var port = endpoint.port
        return port.withUTF8 { port in
            var made = fsv_endpoint(
                hostname: host.characters, hostname_len: host.count, port: port.characters,
                port_len: port.count)
            return withUnsafePointer(to: &made, body)
        }
    }
}

/// Reads a text of C that is a field of fixed size.
private func string<Field>(_ field: Field) -> String {
    withUnsafeBytes(of: field) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
}
