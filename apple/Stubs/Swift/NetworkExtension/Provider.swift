// The provider that a content filter subclasses.
import Foundation
import Network

public enum NEProviderStopReason: Int, Sendable {
    case none = 0
    case userInitiated = 1
    case providerFailed = 2
}

open class NEProvider: NSObject {
    public class func startSystemExtensionMode() {}
}

open class NEFilterProviderConfiguration: NSObject {
    public var vendorConfiguration: [String: Any]?
}

open class NEFilterProvider: NEProvider {
    public let filterConfiguration = NEFilterProviderConfiguration()

    open func startFilter(completionHandler: @escaping (Error?) -> Void) { completionHandler(nil) }

    open func stopFilter(
        with reason: NEProviderStopReason, completionHandler: @escaping () -> Void
    ) {
        completionHandler()
    }
}

open class NEFilterDataProvider: NEFilterProvider {
    /// Not in the framework: what apply does with settings. The default takes what it does not refuse.
    public var stubApply: (NEFilterSettings?, @escaping (Error?) -> Void) -> Void = { settings, done in
        done(settings?.stubRefusal.map(StubRefusal.init))
    }

    open func handleNewFlow(_ flow: NEFilterFlow) -> NEFilterNewFlowVerdict { .allow() }

    open func handleInboundData(
        from flow: NEFilterFlow, readBytesStartOffset offset: Int, readBytes: Data
    ) -> NEFilterDataVerdict {
        .allow()
    }

    open func handleOutboundData(
        from flow: NEFilterFlow, readBytesStartOffset offset: Int, readBytes: Data
    ) -> NEFilterDataVerdict {
        .allow()
    }

    open func handleInboundDataComplete(for flow: NEFilterFlow) -> NEFilterDataVerdict { .allow() }
    open func handleOutboundDataComplete(for flow: NEFilterFlow) -> NEFilterDataVerdict { .allow() }

    public func apply(
        _ settings: NEFilterSettings?, completionHandler: @escaping (Error?) -> Void
    ) {
        stubApply(settings, completionHandler)
    }

    public func resumeFlow(_ flow: NEFilterFlow, with verdict: NEFilterVerdict) {}
}

/// Not in the framework: the error of settings that the stub refuses.
public struct StubRefusal: Error, CustomStringConvertible {
    public let description: String

    public init(description: String) { self.description = description }
}
