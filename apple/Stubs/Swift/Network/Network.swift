// What the package uses of Apple's Network framework, in its Swift shape, for checks where there is none.
import Foundation

public struct IPv4Address: Hashable, Sendable {
    public let rawValue: Data
    public let interface: NWInterface?

    public init?(_ rawValue: Data, _ interface: NWInterface? = nil) {
        guard rawValue.count == 4 else { return nil }
        (self.rawValue, self.interface) = (rawValue, interface)
    }

    public init?(_ string: String) {
        guard let bytes = parsed(string, AF_INET, 4) else { return nil }
        self.init(bytes)
    }
}

public struct IPv6Address: Hashable, Sendable {
    public let rawValue: Data
    public let interface: NWInterface?

    public init?(_ rawValue: Data, _ interface: NWInterface? = nil) {
        guard rawValue.count == 16 else { return nil }
        (self.rawValue, self.interface) = (rawValue, interface)
    }

    public init?(_ string: String) {
        let parts = string.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        guard let bytes = parsed(String(parts[0]), AF_INET6, 16) else { return nil }
        self.init(bytes, parts.count == 2 ? NWInterface(name: String(parts[1]), index: 4) : nil)
    }
}

/// A class in the framework, and made by it alone.
public final class NWInterface: Hashable, Sendable {
    public let name: String
    public let index: Int

    public init(name: String, index: Int) {
        (self.name, self.index) = (name, index)
    }

    public static func == (a: NWInterface, b: NWInterface) -> Bool { a.name == b.name }
    public func hash(into hasher: inout Hasher) { hasher.combine(name) }
}

public enum NWEndpoint: Hashable, Sendable {
    case hostPort(host: NWEndpoint.Host, port: NWEndpoint.Port)
    case service(name: String, type: String, domain: String, interface: NWInterface?)
    case unix(path: String)
    case url(URL)

    public enum Host: Hashable, Sendable, ExpressibleByStringLiteral {
        case name(String, NWInterface?)
        case ipv4(IPv4Address)
        case ipv6(IPv6Address)

        /// An address where the text is one, as in the framework; a name otherwise.
        public init(_ string: String) {
            if let address = IPv4Address(string) {
                self = .ipv4(address)
            } else if let address = IPv6Address(string) {
                self = .ipv6(address)
            } else {
                self = .name(string, nil)
            }
        }

        public init(stringLiteral: String) { self.init(stringLiteral) }
    }

    public struct Port: Hashable, Sendable, ExpressibleByIntegerLiteral {
        public let rawValue: UInt16
        public static let any = Port(integerLiteral: 0)

        public init?(rawValue: UInt16) { self.rawValue = rawValue }
        public init(integerLiteral: UInt16) { rawValue = integerLiteral }
    }
}

private func parsed(_ text: String, _ family: Int32, _ count: Int) -> Data? {
    var bytes = [UInt8](repeating: 0, count: count)
    return inet_pton(family, text, &bytes) == 1 ? Data(bytes) : nil
}
