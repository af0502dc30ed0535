import CFlowsieve

extension FlowMatcher {
    /// Decides flows, each as ``decide(_:)`` does, and returns the decisions in their order. Faster than one
    /// by one where the compiled rules are larger than the processor's caches: what several flows need of
    /// them is fetched at once.
    ///
    /// A flow that cannot be decided gets the failure action, and the others are decided. In ``Hits/failed``
    /// such a flow, and each group that has one, is counted.
    ///
    /// Host names are copied into one buffer for the time of the call: neither the flows nor their names have
    /// to be kept.
    ///
    /// - Complexity: linear in the number of flows and in the length of their names. Allocates the result, and
    ///   room for one group of flows and their names, whatever the number of flows; nothing for each. Flows
    ///   that do not stand in memory one after the other, as those of an array do, are copied to an array.
    public func decisions(for flows: some Collection<SocketFlow>) -> [Decision] {
        var decisions: [Decision] = []
        decide(flows, into: &decisions)
        return decisions
    }

    /// Decides flows as ``decisions(for:)`` does into an array, in the place of what it holds. Its memory is
    /// used again, so that for call after call nothing is allocated but the room for one group.
    public func decide(_ flows: some Collection<SocketFlow>, into decisions: inout [Decision]) {
        decisions.removeAll(keepingCapacity: true)
        decisions.reserveCapacity(flows.count)
        let done: Void? = flows.withContiguousStorageIfAvailable { append($0, to: &decisions) }
        if done == nil {
            Array(flows).withUnsafeBufferPointer { append($0, to: &decisions) }
        }
    }

    private func append(_ flows: UnsafeBufferPointer<SocketFlow>, to decisions: inout [Decision]) {
        var group = FlowGroup(capacity: min(flows.count, FlowGroup.capacity))
        for first in stride(from: 0, to: flows.count, by: FlowGroup.capacity) {
            let part = UnsafeBufferPointer(rebasing: flows[first..<min(first + FlowGroup.capacity, flows.count)])
            group.take(part)
            let status = group.decide { fsv_matcher_decide_batch(handle, $0, $1, $2) }
            if status == FSV_STATUS_OK {
                for index in part.indices {
                    decisions.append(group.decision(index, failureAction: failureAction, owner: self))
                }
            } else {
                // One of them is not in order, and the C interface has decided none.
                for flow in part {
                    decisions.append(decide(flow))
                }
            }
        }
    }
}

extension LiveFlowMatcher {
    /// Decides flows, all by one generation, as ``FlowMatcher/decisions(for:)`` does.
    ///
    /// A decision of a rule with a label keeps that generation in memory as long as it exists.
    public func decisions(for flows: some Collection<SocketFlow>) -> [Decision] {
        var decisions: [Decision] = []
        decide(flows, into: &decisions)
        return decisions
    }

    /// Decides flows, all by one generation, as ``FlowMatcher/decide(_:into:)`` does.
    public func decide(_ flows: some Collection<SocketFlow>, into decisions: inout [Decision]) {
        do throws(FlowsieveError) {
            try matcher().decide(flows, into: &decisions)
        } catch {
            decisions.removeAll(keepingCapacity: true)
            let failed = Decision(failed: error.code, action: options.failureAction)
            decisions.append(contentsOf: repeatElement(failed, count: flows.count))
        }
    }
}

/// Some flows as the C interface takes them: one after the other, with their names in one buffer.
// PERF: memory of its own, as each append to an array asks whether another has it; decide/ipv4-1k/batch/swift.
private struct FlowGroup: ~Copyable {
    /// The most flows: few enough for the first-level cache, and enough that a call costs nothing.
    static let capacity = 128

    private let flows: UnsafeMutablePointer<fsv_flow>
    private let decisions: UnsafeMutablePointer<fsv_decision>
    private var count = 0
    private var names: [UInt8] = []
    private var hasNames = false

    init(capacity: Int) {
        flows = .allocate(capacity: capacity)
        decisions = .allocate(capacity: capacity)
        var decision = fsv_decision()
        decision.size = UInt32(MemoryLayout<fsv_decision>.size)
        decisions.initialize(repeating: decision, count: capacity)
    }

    deinit {
        flows.deallocate()
        decisions.deallocate()
    }

    /// Takes flows, no more than there is room for, in the place of those that are there.
    mutating func take(_ taken: UnsafeBufferPointer<SocketFlow>) {
        names.removeAll(keepingCapacity: true)
        hasNames = false
        count = taken.count
        for index in 0..<count {
            flows[index] = taken[index].raw
            if taken[index].hasName {
                var name = taken[index].name
                name.withUTF8 { names.append(contentsOf: $0) }
                flows[index].known |= UInt32(FSV_KNOWN_HOSTNAME)
                flows[index].remote_hostname_len = name.utf8.count
                hasNames = true
            }
        }
    }

    /// Has the flows decided.
    @inline(__always)
    func decide(
        _ call: (UnsafePointer<fsv_flow>, Int, UnsafeMutablePointer<fsv_decision>) -> fsv_status
    ) -> fsv_status {
        names.withUnsafeBufferPointer { names in
            // Only now, as the buffer moves while names are added to it.
            var start = 0
            if hasNames {
                for index in 0..<count where flows[index].known & UInt32(FSV_KNOWN_HOSTNAME) != 0 {
                    flows[index].remote_hostname = names.characters.map { $0 + start }
                    start += flows[index].remote_hostname_len
                }
            }
            return call(flows, count, decisions)
        }
    }

    /// The decision of a flow, once they are decided.
    @inline(__always)
    func decision(_ index: Int, failureAction: FilterAction, owner: AnyObject & Sendable) -> Decision {
        .made(fsv_status(FSV_STATUS_OK), decisions + index, failureAction: failureAction, owner: owner)
    }
}
