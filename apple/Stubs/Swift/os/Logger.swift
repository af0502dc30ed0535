// What the package uses of Apple's os module, in its Swift shape. Here lines are kept, with every value that
// is not marked public left out as the system leaves it out.
import Foundation

public struct Logger: Sendable {
    let category: String

    public init(subsystem: String, category: String) { self.category = category }

    public func debug(_ message: OSLogMessage) { keep(message) }
    public func info(_ message: OSLogMessage) { keep(message) }
    public func notice(_ message: OSLogMessage) { keep(message) }
    public func error(_ message: OSLogMessage) { keep(message) }
    public func fault(_ message: OSLogMessage) { keep(message) }

    private func keep(_ message: OSLogMessage) {
        lines.lock.withLock { lines.kept.append((category, message.text)) }
    }
}

public struct OSLogPrivacy: Sendable {
    let isPublic: Bool
    public static let `public` = OSLogPrivacy(isPublic: true)
    public static let `private` = OSLogPrivacy(isPublic: false)
    /// Numbers are public, text is not.
    public static let auto = OSLogPrivacy(isPublic: false)
}

public struct OSLogMessage: ExpressibleByStringInterpolation, ExpressibleByStringLiteral {
    let text: String

    public init(stringLiteral: String) { text = stringLiteral }
    public init(stringInterpolation: Interpolation) { text = stringInterpolation.text }

    public struct Interpolation: StringInterpolationProtocol {
        var text = ""

        public init(literalCapacity: Int, interpolationCount: Int) {}
        public mutating func appendLiteral(_ literal: String) { text += literal }

        public mutating func appendInterpolation(
            _ value: @autoclosure () -> String, privacy: OSLogPrivacy = .auto
        ) {
            text += privacy.isPublic ? value() : "<private>"
        }

        public mutating func appendInterpolation<Number: FixedWidthInteger>(
            _ value: @autoclosure () -> Number, privacy: OSLogPrivacy = .public
        ) {
            text += privacy.isPublic ? String(value()) : "<private>"
        }
    }
}

/// Not in the module: the lines that were logged with a category.
public func stubLoggedLines(category: String) -> [String] {
    lines.lock.withLock { lines.kept.filter { $0.category == category }.map(\.text) }
}

private let lines = Lines()

private final class Lines: @unchecked Sendable {
    let lock = NSLock()
    var kept: [(category: String, text: String)] = []
}
