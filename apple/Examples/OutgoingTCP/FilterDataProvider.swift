import Flowsieve
import FlowsieveProvider
import Foundation
import NetworkExtension
import os

/// Logs outgoing TCP to 111.111.111.111 and to nobody else, and lets everything pass.
///
/// The filter that this was written for had the remote prefix 0, which compares no bits of the address, and
/// was asked about every flow. One host is 32. Info.plist names this class.
final class FilterDataProvider: FlowsieveDataProvider, @unchecked Sendable {
    /// Of settings.json beside this file, which Xcode copies into the bundle.
    override func loadSettings() throws -> FilterSettings {
        guard let file = Bundle.main.url(forResource: "settings", withExtension: "json") else {
            throw FlowsieveError(code: .invalidSettings, message: "the bundle has no settings.json")
        }
        return try FilterSettings(json: Data(contentsOf: file))
    }

    /// If something fails, the network goes on.
    override var matcherOptions: MatcherOptions {
        var options = super.matcherOptions
        options.failureAction = .allow
        return options
    }

    override var log: Logger { Logger(subsystem: "com.example.OutgoingTCP", category: "filter") }

    /// The one flow that is asked about is logged; nothing has to be seen of its data.
    override func filteredAction(for flow: NEFilterSocketFlow, decision: Decision) -> FilterAction {
        log.notice("a flow by rule \(decision.label ?? "without label", privacy: .public)")
        return .allow
    }
}
