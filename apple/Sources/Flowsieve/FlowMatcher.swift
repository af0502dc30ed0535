import CFlowsieve

/// How a matcher is made.
public struct MatcherOptions: Hashable, Sendable {
    /// What is done with flows that cannot be decided: ``FilterAction/drop`` fails closed,
    /// ``FilterAction/allow`` fails open.
    public var failureAction = FilterAction.drop
    public var precedence = Precedence.firstMatch
    /// Whether to keep what ``FlowMatcher/explain(_:)`` needs.
    public var keepsSettings = true
    /// Whether to count the decisions, without contention; 64 bytes a rule.
    public var countsHits = false
    /// Whether ``Decision/pendingCount`` is exact, which costs a walk through the rules for such flows.
    public var countsPending = false
    /// The most memory, in bytes; nil for no limit.
    public var maxBytes: UInt64?

    public init() {}
}

/// Settings compiled for fast decisions. Immutable: any number of threads may use it at once.
public final class FlowMatcher: @unchecked Sendable {
    // The C interface lets any number of threads use a matcher.
    let handle: OpaquePointer
    let failureAction: FilterAction

    /// Compiles settings.
    public init(
        _ settings: FilterSettings, options: MatcherOptions = MatcherOptions()
    ) throws(FlowsieveError) {
        handle = try options.make { given, matcher, error in
            fsv_matcher_new(settings.handle, given, matcher, error)
        }
        failureAction = options.failureAction
    }

    fileprivate init(owning handle: OpaquePointer, failureAction: FilterAction) {
        (self.handle, self.failureAction) = (handle, failureAction)
    }

    deinit { fsv_matcher_free(handle) }

    /// Decides a flow. Does not wait or lock. A flow that cannot be decided gets the failure action.
    public func decide(_ flow: SocketFlow) -> Decision {
        var flow = flow
        return decide(&flow)
    }

    /// Decides a flow where it stands: `decide(&flow)` does what `decide(flow)` does, and copies no part of the
    /// flow, which is the same afterwards.
    @inline(never)  // so that the caller keeps self until it returns
    public func decide(_ flow: inout SocketFlow) -> Decision {
        // PERF: no closure has self, which would be retained for it; decide/ipv4-1k/in-place/swift.
        let handle = handle
        return flow.decide(failureAction: failureAction, owner: self) { fsv_matcher_decide(handle, $0, $1) }
    }

    /// Explains a decision: a line with it, then a line for each rule. Goes through all rules.
    public func explain(_ flow: SocketFlow) throws(FlowsieveError) -> String {
        var flow = flow
        return try text { buffer, capacity, needed in
            flow.withFlow { fsv_matcher_explain(handle, $0, buffer, capacity, needed) }
        }
    }

    /// The memory that the matcher keeps, in bytes.
    public var sizeInBytes: Int { fsv_matcher_size_bytes(handle) }

    public var ruleCount: Int { fsv_matcher_rule_count(handle) }

    /// The generation of the settings; 0 unless it was taken from a ``LiveFlowMatcher``.
    public var generation: UInt64 { fsv_matcher_generation(handle) }

    /// The decisions since the matcher was made.
    ///
    /// - Throws: ``FlowsieveError/Code/notKept`` without ``MatcherOptions/countsHits``.
    public func hits() throws(FlowsieveError) -> Hits {
        var hits = fsv_hits()
        hits.size = UInt32(MemoryLayout<fsv_hits>.size)
        try FlowsieveError.check(status: fsv_matcher_hits(handle, &hits))
        return Hits(hits)
    }

    /// The decisions of each rule.
    public func ruleHits() throws(FlowsieveError) -> [UInt64] {
        var hits = [UInt64](repeating: 0, count: ruleCount)
        var needed = 0
        let status = hits.withUnsafeMutableBufferPointer { hits in
            fsv_matcher_rule_hits(handle, hits.baseAddress, hits.count, &needed)
        }
        try FlowsieveError.check(status: status)
        return hits
    }
}

/// A matcher whose settings are replaced while other threads decide.
public final class LiveFlowMatcher: @unchecked Sendable {
    // The C interface lets any number of threads use a live matcher.
    private let handle: OpaquePointer
    public let options: MatcherOptions

    /// Compiles settings as generation 0.
    public init(
        _ settings: FilterSettings, options: MatcherOptions = MatcherOptions()
    ) throws(FlowsieveError) {
        handle = try options.make { given, live, error in
            fsv_live_new(settings.handle, given, live, error)
        }
        self.options = options
    }

    deinit { fsv_live_free(handle) }

    /// Decides a flow by the current generation, as ``FlowMatcher/decide(_:)``.
    public func decide(_ flow: SocketFlow) -> Decision {
        var flow = flow
        return decide(&flow)
    }

    /// Decides a flow by the current generation where it stands: `decide(&flow)` copies no part of it.
    @inline(never)
    public func decide(_ flow: inout SocketFlow) -> Decision {
        let handle = handle
        return flow.decide(failureAction: options.failureAction, owner: self) {
            fsv_live_decide(handle, $0, $1)
        }
    }

    /// Compiles settings and puts them in the place of the current ones. Every decision that begins
    /// afterwards is of the new generation, and every decision of one generation as a whole. Deciding
    /// threads do not wait. If it throws, nothing has changed.
    ///
    /// - Returns: the number of the new generation.
    @discardableResult
    public func replace(with settings: FilterSettings) throws(FlowsieveError) -> UInt64 {
        var generation: UInt64 = 0
        try FlowsieveError.check { error in
            fsv_live_replace(handle, settings.handle, &generation, error)
        }
        return generation
    }

    /// The number of replacements.
    public var generation: UInt64 { fsv_live_generation(handle) }

    /// The current generation as a matcher of its own, to explain by it and to read its counters.
    public func matcher() throws(FlowsieveError) -> FlowMatcher {
        var matcher: OpaquePointer?
        try FlowsieveError.check(status: fsv_live_matcher(handle, &matcher))
        guard let matcher else { throw FlowsieveError(status: fsv_status(FSV_STATUS_PANIC)) }
        return FlowMatcher(owning: matcher, failureAction: options.failureAction)
    }
}

/// Decisions, counted.
public struct Hits: Hashable, Sendable {
    /// Of a rule.
    public let byRule: UInt64
    /// Of the default action.
    public let byDefault: UInt64
    /// Of loopback flows that no rule matched.
    public let byLoopback: UInt64
    /// Flows that could not be decided.
    public let failed: UInt64

    init(_ hits: fsv_hits) {
        (byRule, byDefault) = (hits.by_rule, hits.by_default)
        (byLoopback, failed) = (hits.by_loopback, hits.failed)
    }
}

extension MatcherOptions {
    /// Calls a function that makes a matcher with these options.
    fileprivate func make(
        _ call: (
            UnsafePointer<fsv_matcher_options>, UnsafeMutablePointer<OpaquePointer?>,
            UnsafeMutablePointer<OpaquePointer?>
        ) -> fsv_status
    ) throws(FlowsieveError) -> OpaquePointer {
        var options = fsv_matcher_options()
        options.size = UInt32(MemoryLayout<fsv_matcher_options>.size)
        options.precedence = precedence.rawValue
        options.failure_action = failureAction.rawValue
        options.keep_settings = keepsSettings ? 1 : 0
        options.count_hits = countsHits ? 1 : 0
        options.count_pending = countsPending ? 1 : 0
        options.max_bytes = maxBytes ?? 0
        var made: OpaquePointer?
        try FlowsieveError.check { error in call(&options, &made, error) }
        guard let made else { throw FlowsieveError(status: fsv_status(FSV_STATUS_PANIC)) }
        return made
    }
}
