// Flows and what is answered to them.
import Foundation
import Network

/// NWEndpoint of Objective-C, under the name that Swift 6 mode gives it.
open class __NWEndpoint: NSObject {}

/// NWHostEndpoint, likewise.
open class __NWHostEndpoint: __NWEndpoint {
    public let hostname: String
    public let port: String

    public init(hostname: String, port: String) {
        (self.hostname, self.port) = (hostname, port)
    }

    var endpoint: Network.NWEndpoint {
        .hostPort(
            host: NWEndpoint.Host(hostname), port: NWEndpoint.Port(rawValue: UInt16(port) ?? 0) ?? .any)
    }
}

/// The other subclass that there is.
open class __NWBonjourServiceEndpoint: __NWEndpoint {}

open class NEFilterFlow: NSObject {
    public var direction = NETrafficDirection.outbound
    public var url: URL?
    public var sourceAppAuditToken: Data?
    public let identifier = UUID()
}

open class NEFilterSocketFlow: NEFilterFlow {
    public var __remoteEndpoint: __NWEndpoint?
    public var __localEndpoint: __NWEndpoint?
    @available(macOS 15.0, *) public var remoteFlowEndpoint: Network.NWEndpoint?
    @available(macOS 15.0, *) public var localFlowEndpoint: Network.NWEndpoint?
    /// Not in the framework: the numbers of the interfaces in the socket addresses of these two.
    public var stubRemoteScope: UInt32 = 0
    public var stubLocalScope: UInt32 = 0
    public var remoteHostname: String?
    public var socketFamily: Int32 = 2
    public var socketType: Int32 = 1
    public var socketProtocol: Int32 = 6
}

open class NEFilterVerdict: NSObject {
    public var shouldReport = false
}

open class NEFilterNewFlowVerdict: NEFilterVerdict {
    /// Not in the framework: what the verdict says.
    public enum StubKind: Equatable, Sendable {
        case allow, drop, pause
        case filterData(inbound: Bool, peekInbound: Int, outbound: Bool, peekOutbound: Int)
    }

    public let stubKind: StubKind

    init(_ kind: StubKind) { stubKind = kind }

    public class func allow() -> NEFilterNewFlowVerdict { NEFilterNewFlowVerdict(.allow) }
    public class func drop() -> NEFilterNewFlowVerdict { NEFilterNewFlowVerdict(.drop) }
    public class func pause() -> NEFilterNewFlowVerdict { NEFilterNewFlowVerdict(.pause) }

    public class func filterDataVerdict(
        withFilterInbound filterInbound: Bool, peekInboundBytes: Int,
        filterOutbound: Bool, peekOutboundBytes: Int
    ) -> NEFilterNewFlowVerdict {
        NEFilterNewFlowVerdict(
            .filterData(
                inbound: filterInbound, peekInbound: peekInboundBytes, outbound: filterOutbound,
                peekOutbound: peekOutboundBytes))
    }
}

open class NEFilterDataVerdict: NEFilterVerdict {
    /// Not in the framework: what the verdict says.
    public enum StubKind: Equatable, Sendable { case allow, drop, pause, pass(Int, peek: Int) }

    public let stubKind: StubKind

    init(_ kind: StubKind) { stubKind = kind }

    public convenience init(passBytes: Int, peekBytes: Int) {
        self.init(.pass(passBytes, peek: peekBytes))
    }

    public class func allow() -> NEFilterDataVerdict { NEFilterDataVerdict(.allow) }
    public class func drop() -> NEFilterDataVerdict { NEFilterDataVerdict(.drop) }
    public class func pause() -> NEFilterDataVerdict { NEFilterDataVerdict(.pause) }
}
