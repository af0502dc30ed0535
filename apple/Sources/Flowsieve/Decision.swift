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

    init(
        _ status: fsv_status, _ decision: fsv_decision, failureAction: FilterAction,
        owner: @autoclosure () -> AnyObject & Sendable
    ) {
        guard status == FSV_STATUS_OK, let action = FilterAction(rawValue: decision.action) else {
            let code: FlowsieveError.Code =
                status == FSV_STATUS_OK ? .invalidArgument : FlowsieveError.Code(rawValue: status)
            self = Decision(failed: code, action: failureAction)
            return
        }
        self.action = action
        switch Int(decision.reason) {
        case FSV_REASON_RULE: reason = .rule
        case FSV_REASON_LOOPBACK: reason = .loopback
        case FSV_REASON_PENDING: reason = .pending
        default: reason = .default
        }
        rule = decision.rule == .max ? nil : Int(decision.rule)
        isFinal = decision.is_final != 0
        pendingCount = Int(decision.pending_count)
        generation = decision.generation
        ownedLabel = decision.label.map { label in
            OwnedLabel(owner: owner(), start: UnsafeRawPointer(label), count: decision.label_len)
        }
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
