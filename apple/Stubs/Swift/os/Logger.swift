// What the package uses of Apple's os module, in its Swift shape. Here lines are kept, with every value that
// is not marked public left out as the system leaves it out.
import Foundation

public struct Logger: Sendable {
    let prefix: String

    public init(subsystem: String, category: String) {
        prefix = "\(subsystem) \(category)"
    }

    public func debug(_ message: OSLogMessage) { keep(message) }
    public func info(_ message: OSLogMessage) { keep(message) }
    public func notice(_ message: OSLogMessage) { keep(message) }
    public func error(_ message: OSLogMessage) { keep(message) }
    public func fault(_ message: OSLogMessage) { keep(message) }

    private func keep(_ message: OSLogMessage) {
        lines.add("\(prefix): \(message.text)")
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

/// Takes the lines that were logged since it was last called.
public func takeLoggedLines() -> [String] { lines.take() }

private let lines = Lines()

private final class Lines: @unchecked Sendable {
    private let lock = NSLock()
    private var kept: [String] = []

    func add(_ line: String) { lock.withLock { kept.append(line) } }

    func take() -> [String] {
        lock.withLock {
            defer { kept = [] }
            return kept
        }
    }
}
