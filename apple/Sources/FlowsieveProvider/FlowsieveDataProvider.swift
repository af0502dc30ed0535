#if canImport(NetworkExtension)
    import Flowsieve
    import Foundation
    import NetworkExtension
    import os

    /// A content filter by rules of any number: an NEFilterDataProvider to drop into a system extension.
    ///
    /// On start it reads the settings (``loadSettings()``), gives the framework a first stage
    /// (``firstStage``), and answers `handleNewFlow` by the settings themselves. Subclasses override what
    /// they want otherwise; the methods of NEFilterDataProvider are best left alone.
    ///
    /// The framework may call from several threads at once (S-75). Deciding takes no lock, save for flows
    /// whose local endpoint has to be waited for, or which cannot be decided.
    open class FlowsieveDataProvider: NEFilterDataProvider, @unchecked Sendable {
        // Set in init, before anybody else has the provider, and never again. Nil if no matcher could be
        // made, and then every flow gets the failure action.
        private var live: LiveFlowMatcher?
        // Set in init as well.
        private var options = MatcherOptions()
        private let state = State()
        // Settings are planned and put in force here, one after the other.
        private let installs = DispatchQueue(label: "flowsieve.reloads", qos: .userInitiated)

        public override init() {
            super.init()
            options = matcherOptions
            // Until settings are in force, flows get the failure action.
            do throws(FlowsieveError) {
                let settings = try FilterSettings(rules: [], defaultAction: options.failureAction)
                live = try LiveFlowMatcher(settings, options: options)
                state.settings = settings
            } catch {
                log.fault("cannot make a matcher: \(error.message, privacy: .public)")
            }
        }

        // MARK: What subclasses choose

        /// How the settings are compiled, and what is done with flows that cannot be decided: the default
        /// drops them. Asked once, in init.
        open var matcherOptions: MatcherOptions {
            var options = MatcherOptions()
            options.countsHits = true
            return options
        }

        /// Returns the settings to start with. The default reads the JSON text, as String or Data, under
        /// "flowsieveSettings" in the vendor configuration of the filter's configuration.
        open func loadSettings() throws -> FilterSettings {
            let key = "flowsieveSettings"
            switch filterConfiguration.vendorConfiguration?[key] {
            case let text as String: return try FilterSettings(json: text)
            case let data as Data: return try FilterSettings(json: data)
            default:
                let message = "the vendor configuration has no settings under `\(key)`"
                throw FlowsieveError(code: .invalidSettings, message: message)
            }
        }

        /// What the framework is given.
        open var firstStage: FirstStage { .automatic }

        /// Returns what is done with a flow to which the settings give `filterData`: it is allowed or dropped, or
        /// with `filterData`, as the default has it, its data is looked at.
        ///
        /// Both methods below ask this, so where the data does not matter it is all there is to override. It is
        /// asked again for a flow that had to wait for its local endpoint, and for each piece of data.
        open func filteredAction(for flow: NEFilterSocketFlow, decision: Decision) -> FilterAction {
            .filterData
        }

        /// Answers a new flow to which the settings give `filterData`. The default does what
        /// ``filteredAction(for:decision:)`` says, and asks for the data where that is `filterData`.
        ///
        /// A flow that has to wait for its local endpoint does not come here, but to
        /// ``handleFilteredData(from:direction:offset:readBytes:decision:)`` at once: override both or none.
        open func handleFilteredFlow(
            _ flow: NEFilterSocketFlow, decision: Decision
        ) -> NEFilterNewFlowVerdict {
            switch filteredAction(for: flow, decision: decision) {
            case .allow: .allow()
            case .drop: .drop()
            case .filterData:
                .filterDataVerdict(
                    withFilterInbound: true, peekInboundBytes: Int.max, filterOutbound: true,
                    peekOutboundBytes: Int.max)
            }
        }

        /// Answers data of a flow to which the settings give `filterData`. The default drops the flow where
        /// ``filteredAction(for:decision:)`` says so, and else allows it.
        ///
        /// A flow that had to wait for its local endpoint comes here without ``handleFilteredFlow(_:decision:)``.
        open func handleFilteredData(
            from flow: NEFilterSocketFlow, direction: NETrafficDirection, offset: Int, readBytes: Data,
            decision: Decision
        ) -> NEFilterDataVerdict {
            filteredAction(for: flow, decision: decision) == .drop ? .drop() : .allow()
        }

        /// Where is logged.
        open var log: Logger { Logger(subsystem: "flowsieve", category: "filter") }

        /// Whether each new flow is logged, with its endpoints marked private. The default logs starts,
        /// stops, reloads and failures, and counts the rest: see ``statistics()``.
        open var logsFlows: Bool { false }

        // MARK: What is called from outside

        /// Puts settings in the place of the current ones: the extension decides by them from now on, and
        /// the framework is given their first stage.
        ///
        /// If they cannot be compiled or planned, or the framework refuses the first stage, the former
        /// settings stay or are put back, and the handler gets the error. Nothing is promised about flows
        /// that the framework decides meanwhile (S-78). Reloads are done one after the other.
        ///
        /// A framework that never answers keeps all of them waiting, until `stopFilter` ends them:
        /// ``ReloadError/stopped``. The extension then goes on with the settings that it has by then, a later
        /// reload works as ever, and an answer that comes late changes nothing.
        public final func reload(
            _ settings: FilterSettings, completionHandler: @escaping @Sendable (Error?) -> Void
        ) {
            let reload = Reload(settings, completionHandler)
            let isFirst = state.with { state in
                state.reloads.append(reload)
                return state.reloads.count == 1
            }
            if isFirst {
                begin(reload)
            }
        }

        /// Decides a flow by the current settings; for a flow that cannot be decided, by the failure action.
        public final func decide(_ flow: NEFilterSocketFlow) -> Decision {
            read(flow).decision
        }

        /// Returns the matcher that decides now, which explains flows and has the hits of each rule.
        public final func matcher() throws(FlowsieveError) -> FlowMatcher {
            guard let live else {
                throw FlowsieveError(code: .invalidSettings, message: "there is no matcher")
            }
            return try live.matcher()
        }

        /// What was done so far.
        public final func statistics() -> FilterStatistics {
            let counters = state.with(\.counters)
            let matcher = try? live?.matcher()
            return FilterStatistics(
                generation: matcher?.generation ?? 0, hits: try? matcher?.hits(),
                waited: counters.waited, failed: counters.failed, otherKinds: counters.otherKinds)
        }

        // MARK: NEFilterDataProvider

        open override func startFilter(completionHandler: @escaping (Error?) -> Void) {
            // The framework lets the handler be called from any thread; not every SDK marks it so.
            let done = Unchecked(completionHandler)
            let settings: FilterSettings
            do {
                settings = try loadSettings()
            } catch {
                log.error("not started: \(String(describing: error), privacy: .public)")
                completionHandler(error)
                return
            }
            reload(settings) { error in done.value(error) }
        }

        open override func stopFilter(
            with reason: NEProviderStopReason, completionHandler: @escaping () -> Void
        ) {
            let counts = statistics()
            log.notice("stopped, reason \(reason.rawValue): \(counts.description, privacy: .public)")
            let ended = state.with { state in
                defer { state.reloads = [] }
                return state.reloads
            }
            for reload in ended {
                call(reload, ReloadError.stopped)
            }
            completionHandler()
        }

        open override func handleNewFlow(_ flow: NEFilterFlow) -> NEFilterNewFlowVerdict {
            guard let flow = flow as? NEFilterSocketFlow else {
                return ofOtherKind() == .allow ? .allow() : .drop()
            }
            let (decision, isLocalEndpointKnown) = read(flow)
            if logsFlows {
                logFlow(flow, decision)
            }
            if !decision.isFinal && !isLocalEndpointKnown && mustWait() {
                // Of either side, whichever comes first: by then the socket is bound.
                return .filterDataVerdict(
                    withFilterInbound: true, peekInboundBytes: 1, filterOutbound: true,
                    peekOutboundBytes: 1)
            }
            return decision.action == .filterData
                ? handleFilteredFlow(flow, decision: decision) : newFlowVerdict(decision.action)
        }

        open override func handleInboundData(
            from flow: NEFilterFlow, readBytesStartOffset offset: Int, readBytes: Data
        ) -> NEFilterDataVerdict {
            handleData(from: flow, .inbound, offset, readBytes)
        }

        open override func handleOutboundData(
            from flow: NEFilterFlow, readBytesStartOffset offset: Int, readBytes: Data
        ) -> NEFilterDataVerdict {
            handleData(from: flow, .outbound, offset, readBytes)
        }

        open override func handleInboundDataComplete(for flow: NEFilterFlow) -> NEFilterDataVerdict {
            handleData(from: flow, nil, 0, Data())
        }

        open override func handleOutboundDataComplete(for flow: NEFilterFlow) -> NEFilterDataVerdict {
            handleData(from: flow, nil, 0, Data())
        }
    }

    extension FlowsieveDataProvider {
        private func read(
            _ flow: NEFilterSocketFlow
        ) -> (decision: Decision, isLocalEndpointKnown: Bool) {
            let decision: Decision
            do throws(FlowsieveError) {
                var read = try SocketFlow(flow)
                if let live {
                    decision = live.decide(&read)
                } else {
                    decision = Decision(failed: .invalidSettings, action: options.failureAction)
                }
                guard case .failure(let code) = decision.reason else {
                    return (decision, read.isLocalEndpointKnown)
                }
                countFailure(code.message)
            } catch {
                decision = Decision(failed: error.code, action: options.failureAction)
                countFailure(error.message)
            }
            return (decision, true)
        }

        /// Decides again: either the flow was waited for, or it is one whose data is filtered. If the local
        /// endpoint is still not known, what is the action for now is taken.
        private func handleData(
            from flow: NEFilterFlow, _ direction: NETrafficDirection?, _ offset: Int, _ readBytes: Data
        ) -> NEFilterDataVerdict {
            guard let flow = flow as? NEFilterSocketFlow else {
                return ofOtherKind() == .allow ? .allow() : .drop()
            }
            let decision = decide(flow)
            switch (decision.action, direction) {
            case (.drop, _): return .drop()
            case (.filterData, .some(let direction)):
                return handleFilteredData(
                    from: flow, direction: direction, offset: offset, readBytes: readBytes,
                    decision: decision)
            case (.filterData, .none):
                return filteredAction(for: flow, decision: decision) == .drop ? .drop() : .allow()
            case (.allow, _): return .allow()
            }
        }

        private func newFlowVerdict(_ action: FilterAction) -> NEFilterNewFlowVerdict {
            action == .drop ? .drop() : .allow()
        }

        /// Flows other than socket flows are not seen on macOS as far as its documentation goes. No rule can
        /// match them, so they get the failure action; nobody could be asked about their data, so that
        /// `filterData` drops them.
        private func ofOtherKind() -> FilterAction {
            state.with { $0.counters.otherKinds += 1 }
            return options.failureAction
        }

        /// Whether a rule has a local side: if none has, a flow that is not final lacks a host name, and that
        /// does not come later (S-44).
        private func mustWait() -> Bool {
            state.with { state in
                state.counters.waited += state.hasLocalRules ? 1 : 0
                return state.hasLocalRules
            }
        }

        private func countFailure(_ message: String) {
            let count = state.with { state in
                state.counters.failed += 1
                return state.counters.failed
            }
            // The first, and then ever fewer.
            if count & (count - 1) == 0 {
                log.error("\(count) flows could not be decided, now: \(message, privacy: .private)")
            }
        }

        private func logFlow(_ flow: NEFilterSocketFlow, _ decision: Decision) {
            let (local, remote) = flow.endpointTexts
            let direction = ["any", "inbound", "outbound"][safe: flow.direction.rawValue] ?? "any"
            log.info(
                """
                Got a new flow with local endpoint \(local, privacy: .private), remote endpoint \
                \(remote, privacy: .private), direction \(direction, privacy: .public)
                """)
            let rule = decision.rule.map(String.init) ?? "none"
            log.info(
                "action \(String(describing: decision.action), privacy: .public), rule \(rule, privacy: .public)")
        }

        private func begin(_ reload: Reload) {
            // Planning takes long for many rules, and the framework waits for nobody.
            installs.async { self.install(reload) }
        }

        /// Whether a reload is under way: `stopFilter` has not ended it.
        private func isUnderWay(_ reload: Reload) -> Bool {
            state.with { $0.reloads.first === reload }
        }

        private func end(_ reload: Reload, _ error: Error?) {
            let (isEnded, next) = state.with { state -> (Bool, Reload?) in
                guard state.reloads.first === reload else { return (false, nil) }
                state.reloads.removeFirst()
                if error == nil {
                    state.settings = reload.settings
                }
                return (true, state.reloads.first)
            }
            guard isEnded else { return }
            if let next {
                begin(next)
            }
            call(reload, error)
        }

        /// On a thread of its own, since the handler may wait for another reload.
        private func call(_ reload: Reload, _ error: Error?) {
            DispatchQueue.global(qos: .userInitiated).async { reload.completionHandler(error) }
        }

        private func install(_ reload: Reload) {
            guard isUnderWay(reload) else { return }
            let settings = reload.settings
            let first: NEFilterSettings
            let generation: UInt64
            do throws(FlowsieveError) {
                let precedence = options.precedence
                first = try NEFilterSettings(
                    try firstStage.settings(for: settings, precedence: precedence))
                guard isUnderWay(reload) else { return }
                generation = try replace(with: settings)
            } catch {
                log.error("settings not taken: \(error.message, privacy: .public)")
                end(reload, error)
                return
            }
            guard isUnderWay(reload) else { return }
            let count = first.rules.count
            apply(first) { error in
                guard let error else {
                    if self.isUnderWay(reload) {
                        self.log.notice(
                            "generation \(generation): \(settings.ruleCount) rules, first stage of \(count)")
                    }
                    self.end(reload, nil)
                    return
                }
                // Where nothing else is put in force meanwhile.
                let refusal = Unchecked(error)
                self.installs.async {
                    guard self.isUnderWay(reload) else { return }
                    let text = String(describing: refusal.value)
                    self.log.error("first stage of \(count) rules refused: \(text, privacy: .public)")
                    self.putBack()
                    self.end(reload, refusal.value)
                }
            }
        }

        private func replace(with settings: FilterSettings) throws(FlowsieveError) -> UInt64 {
            guard let live else {
                throw FlowsieveError(code: .invalidSettings, message: "there is no matcher")
            }
            // A call for each rule, and flows wait for the lock.
            let hasLocalRules = settings.hasLocalRules
            // Before they are in force, so that no flow that should be waited for is not.
            let former = state.with { state in
                defer { state.hasLocalRules = state.hasLocalRules || hasLocalRules }
                return state.hasLocalRules
            }
            do throws(FlowsieveError) {
                let generation = try live.replace(with: settings)
                state.with { $0.hasLocalRules = hasLocalRules }
                return generation
            } catch {
                state.with { $0.hasLocalRules = former }
                throw error
            }
        }

        private func putBack() {
            guard let former = state.with(\.settings) else { return }
            do throws(FlowsieveError) {
                _ = try replace(with: former)
            } catch {
                log.fault("former settings not put back: \(error.message, privacy: .public)")
            }
        }
    }

    /// Why a reload ended that was not refused.
    public enum ReloadError: Error, Hashable, Sendable, CustomStringConvertible, LocalizedError {
        /// The filter was stopped before the framework had answered.
        case stopped

        public var description: String { "the filter was stopped before the reload was done" }
        public var errorDescription: String? { description }
    }

    /// What a provider did.
    public struct FilterStatistics: Hashable, Sendable, CustomStringConvertible {
        /// The number of the settings in force.
        public let generation: UInt64
        /// The decisions since those settings were put in force; nil if ``MatcherOptions/countsHits`` is off.
        public let hits: Hits?
        /// Flows whose local endpoint was waited for.
        public let waited: Int
        /// Decisions that could not be made.
        public let failed: Int
        /// Flows that are not socket flows.
        public let otherKinds: Int

        public var description: String {
            var parts = ["generation \(generation)"]
            if let hits {
                parts.append("\(hits.byRule) decisions by rules, \(hits.byDefault) by default")
                parts.append("\(hits.byLoopback) of loopback")
            }
            parts.append("\(waited) flows waited for, \(failed) failures, \(otherKinds) of other kinds")
            return parts.joined(separator: ", ")
        }
    }

    /// What changes in a provider, for one thread at a time.
    private final class State: @unchecked Sendable {
        private let lock = NSLock()
        /// The last whose first stage the framework took; at first, those of the failure action.
        var settings: FilterSettings?
        /// Of the settings in force.
        var hasLocalRules = false
        var counters = Counters()
        /// The first is under way.
        var reloads: [Reload] = []

        struct Counters {
            var waited = 0
            var failed = 0
            var otherKinds = 0
        }

        func with<Result>(_ body: (State) -> Result) -> Result {
            lock.withLock { body(self) }
        }
    }

    private final class Reload: Sendable {
        let settings: FilterSettings
        let completionHandler: @Sendable (Error?) -> Void

        init(_ settings: FilterSettings, _ completionHandler: @escaping @Sendable (Error?) -> Void) {
            (self.settings, self.completionHandler) = (settings, completionHandler)
        }
    }

    private struct Unchecked<Value>: @unchecked Sendable {
        let value: Value

        init(_ value: Value) { self.value = value }
    }

    extension Array {
        fileprivate subscript(safe index: Int) -> Element? {
            indices.contains(index) ? self[index] : nil
        }
    }
#endif
