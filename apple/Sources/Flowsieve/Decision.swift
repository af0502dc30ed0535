import CFlowsieve

/// What is to be done with a flow, and why.
public struct Decision: Sendable {
    /// Why a decision came out as it did.
    public enum Reason: Hashable, Sendable {
        /// A rule matched.
        case rule
        /// No rule matched: the default action (S-62).
        case `default`
        /// No rule matched a loopback flow, which is allowed (S-64).
        case loopback
        /// As things stand one of the others; an earlier rule could still match once the local endpoint or
        /// the host name is known.
        case pending
        /// The flow could not be decided: the action is ``MatcherOptions/failureAction``.
        case failure(FlowsieveError.Code)
    }

    public let action: FilterAction
    public let reason: Reason

    /// The index of the rule that decided, from 0; nil if none did.
    public let rule: Int?

    /// Whether the action stands whatever becomes known of local endpoint and host name.
    public let isFinal: Bool

    /// How many rules before the deciding one could still match: 0 for none, otherwise exact only with
    /// ``MatcherOptions/countsPending``, and 1 for any number without.
    public let pendingCount: Int

    /// The number of replacements before these settings; 0 for a ``FlowMatcher``.
    public let generation: UInt64

    // The label stands in the memory of its owner, and is made a String only when it is asked for.
    private let ownedLabel: OwnedLabel?

    /// The label of the deciding rule.
    public var label: String? { ownedLabel?.text }

    /// Makes the decision of a call of the C interface. The owner is kept if there is a label.
    // PERF: a function, as an initialiser would own the owner; and the struct is read field by field, as it was
    // just written, since the processor waits for larger pieces; decide/ipv4-1k/there/swift.
    @inline(__always)
    static func made(
        _ status: fsv_status, _ decision: UnsafePointer<fsv_decision>, failureAction: FilterAction,
        owner: AnyObject & Sendable
    ) -> Decision {
        guard status == FSV_STATUS_OK, let action = FilterAction(rawValue: decision.pointee.action) else {
            let code: FlowsieveError.Code =
                status == FSV_STATUS_OK ? .invalidArgument : FlowsieveError.Code(rawValue: status)
            return Decision(failed: code, action: failureAction)
        }
        let reason: Reason =
            switch Int(decision.pointee.reason) {
            case FSV_REASON_RULE: .rule
            case FSV_REASON_LOOPBACK: .loopback
            case FSV_REASON_PENDING: .pending
            default: .default
            }
        let label: OwnedLabel? =
            if let label = decision.pointee.label {
                OwnedLabel(owner: owner, start: UnsafeRawPointer(label), count: decision.pointee.label_len)
            } else {
                nil
            }
        let rule = decision.pointee.rule
        return Decision(
            action: action, reason: reason, rule: rule == .max ? nil : Int(rule),
            isFinal: decision.pointee.is_final != 0, pendingCount: Int(decision.pointee.pending_count),
            generation: decision.pointee.generation, ownedLabel: label)
    }

    private init(
        action: FilterAction, reason: Reason, rule: Int?, isFinal: Bool, pendingCount: Int,
        generation: UInt64, ownedLabel: OwnedLabel?
    ) {
        (self.action, self.reason, self.rule) = (action, reason, rule)
        (self.isFinal, self.pendingCount) = (isFinal, pendingCount)
        (self.generation, self.ownedLabel) = (generation, ownedLabel)
    }

    /// Makes the decision for a flow that cannot be decided.
    public init(failed code: FlowsieveError.Code, action: FilterAction) {
        (self.action, reason) = (action, .failure(code))
        (rule, isFinal, pendingCount, generation, ownedLabel) = (nil, true, 0, 0, nil)
    }
}

private struct OwnedLabel: @unchecked Sendable {
    // INVARIANT: the text stands in memory that owner keeps and does not change.
    let owner: AnyObject & Sendable
    let start: UnsafeRawPointer
    let count: Int

    var text: String { String(decoding: UnsafeRawBufferPointer(start: start, count: count), as: UTF8.self) }
}
