import DecideInC
import Flowsieve

/// Times decisions from Swift and from C, of the same flows by the same rules, each pass held to the answers
/// of the other: `decide/WORKLOAD/CALL/LANGUAGE` and nanoseconds a decision, the median and the least of the
/// passes. With `--test` everything is done once, and nothing is timed; another argument is the beginning of
/// the names of what is wanted, `decide/WORKLOAD/` and what follows.
///
/// The calls: `there` decides flows that are there already, `in-place` does so where they stand (in C there is no
/// other way), `made` makes them of addresses and ports, `live` is by a live matcher, `batch` decides 256 in a call.
@main struct DecideBenchmark {
    static func main() throws {
        let arguments = CommandLine.arguments.dropFirst()
        let passes = arguments.contains("--test") ? 1 : 301
        let wanted = arguments.first { $0 != "--test" } ?? ""
        for (name, ruleCount, hasLabels, hasNames) in [
            ("ipv4-1k", 1000, false, false), ("ipv4-1k-labels", 1000, true, false),
            ("ipv4-1k-names", 1000, false, true), ("ipv4-100k", 100_000, false, false),
        ] {
            guard wanted.isEmpty || wanted.contains("/\(name)/") else { continue }
            let workload = Workload(rules: ruleCount, hasLabels: hasLabels, hasNames: hasNames)
            try measure(name, workload, passes, wanted)
        }
    }

    private static func measure(
        _ name: String, _ workload: Workload, _ passes: Int, _ wanted: String
    ) throws {
        let settings = try FilterSettings(rules: workload.rules, defaultAction: .allow)
        let (matcher, live) = (try FlowMatcher(settings), try LiveFlowMatcher(settings))
        let flows = try workload.parts.map { try $0.flow() }
        let places = UnsafeMutableBufferPointer<SocketFlow>.allocate(capacity: flows.count)
        _ = places.initialize(from: flows)
        defer {
            places.deinitialize()
            places.deallocate()
        }
        let c = try CLoop(settings.json(), workload.parts)
        var decisions: [Decision] = []

        let all: [(String, () throws -> UInt64)] = [
            ("there/c", { c_loop_decide(c.loop) }),
            ("there/swift", { flows.reduce(0) { $0 &+ answer(matcher.decide($1)) } }),
            ("in-place/swift", { places.indices.reduce(0) { $0 &+ answer(matcher.decide(&places[$1])) } }),
            ("made/c", { c_loop_decide_made(c.loop, c.parts) }),
            ("made/swift", { try workload.parts.reduce(0) { $0 &+ answer(matcher.decide(try $1.flow())) } }),
            (
                "made-in-place/swift",
                {
                    try workload.parts.reduce(0) { sum, parts in
                        var flow = try parts.flow()
                        return sum &+ answer(matcher.decide(&flow))
                    }
                }
            ),
            ("live/c", { c_loop_decide_live(c.loop) }),
            ("live/swift", { flows.reduce(0) { $0 &+ answer(live.decide($1)) } }),
            ("batch/c", { c_loop_decide_batch(c.loop, 256) }),
            (
                "batch/swift",
                {
                    stride(from: 0, to: flows.count, by: 256).reduce(0) { sum, first in
                        matcher.decide(flows[first..<min(first + 256, flows.count)], into: &decisions)
                        return decisions.reduce(sum) { $0 &+ answer($1) }
                    }
                }
            ),
        ]
        let calls = all.filter { "decide/\(name)/\($0.0)".hasPrefix(wanted) }
        let expected = c_loop_decide(c.loop)
        precondition(expected != UInt64(FilterAction.allow.rawValue) * UInt64(flows.count), "no rule matches")
        var times = [[Double]](repeating: [], count: calls.count)
        for _ in 0..<passes {
            // By turns, so that what slows the machine down slows all of them down.
            for (index, (call, run)) in calls.enumerated() {
                let start = ContinuousClock.now
                let sum = try run()
                let (seconds, attoseconds) = (ContinuousClock.now - start).components
                precondition(sum == expected, "\(name)/\(call): the answers differ")
                times[index].append((Double(seconds) * 1e9 + Double(attoseconds) / 1e9) / Double(flows.count))
            }
        }
        for ((call, _), times) in zip(calls, times) {
            let sorted = times.sorted()
            let text = { (time: Double) in String((time * 10).rounded() / 10) }
            print(
                "decide/\(name)/\(call)",
                passes == 1 ? "agrees" : "\(text(sorted[passes / 2])) ns, least \(text(sorted[0]))")
        }
    }
}

@inline(__always)
private func answer(_ decision: Decision) -> UInt64 {
    UInt64((decision.rule ?? -1) + 1) * 8 + UInt64(decision.action.rawValue)
}

/// The loops of C, and what they borrow.
private final class CLoop {
    let loop: OpaquePointer
    let parts: UnsafeMutablePointer<c_parts>
    private let names: UnsafeMutableBufferPointer<CChar>

    init(_ json: String, _ given: [Parts]) throws {
        let texts = given.map { Array(($0.name ?? "").utf8CString) }
        names = .allocate(capacity: texts.reduce(0) { $0 + $1.count })
        _ = names.initialize(from: texts.joined())
        parts = .allocate(capacity: given.count)
        var start = 0
        for (index, (one, text)) in zip(given, texts).enumerated() {
            parts[index] = c_parts(
                remote_address: one.remote.0, local_address: one.local.0, remote_port: one.remote.1,
                local_port: one.local.1, protocol: one.protocolNumber, direction: 2,
                name: one.name == nil ? nil : UnsafePointer(names.baseAddress! + start))
            start += text.count
        }
        guard let loop = c_loop_new(json, json.utf8.count, parts, given.count) else {
            throw FlowsieveError(code: .panic, message: "no loop in C")
        }
        self.loop = loop
    }

    deinit {
        c_loop_free(loop)
        parts.deallocate()
        names.deallocate()
    }
}
