import CFlowsieve
import Foundation

/// What went wrong, and where in the settings: message, line, column and rule.
public struct FlowsieveError: Error, Hashable, Sendable {
    /// What became of a call: `fsv_status` of the C interface. New codes may come.
    public struct Code: RawRepresentable, Hashable, Sendable {
        public let rawValue: Int32

        public init(rawValue: Int32) { self.rawValue = rawValue }
        private init(_ status: Int) { rawValue = Int32(status) }

        /// The library failed inside; please report it.
        public static let panic = Code(FSV_STATUS_PANIC)
        public static let invalidArgument = Code(FSV_STATUS_INVALID_ARGUMENT)
        public static let notUTF8 = Code(FSV_STATUS_NOT_UTF8)
        /// A text over its limit, or more memory than there is.
        public static let tooLarge = Code(FSV_STATUS_TOO_LARGE)
        public static let invalidFlow = Code(FSV_STATUS_INVALID_FLOW)
        /// A host that is neither address nor name, or not the one of the two that is needed.
        public static let invalidHost = Code(FSV_STATUS_INVALID_HOST)
        /// Port text other than digits up to 65535 (S-26).
        public static let invalidPort = Code(FSV_STATUS_INVALID_PORT)
        /// A zone id other than 1 to 15 letters, digits, `_` and `-` (S-50).
        public static let invalidScope = Code(FSV_STATUS_INVALID_SCOPE)
        /// A prefix length over 32 or 128 bits, or NSNotFound (S-12).
        public static let invalidPrefix = Code(FSV_STATUS_INVALID_PREFIX)
        public static let invalidSettings = Code(FSV_STATUS_INVALID_SETTINGS)
        public static let tooManyRules = Code(FSV_STATUS_TOO_MANY_RULES)
        public static let matcherTooLarge = Code(FSV_STATUS_MATCHER_TOO_LARGE)
        /// No first stage of so few rules is right.
        public static let noPlan = Code(FSV_STATUS_NO_PLAN)
        /// The matcher was made without what is asked of it; see ``MatcherOptions``.
        public static let notKept = Code(FSV_STATUS_NOT_KEPT)

        /// What the code means, in a few words.
        public var message: String { String(cString: fsv_status_message(rawValue)) }
    }

    public let code: Code

    /// One line for the author of the rules.
    public let message: String

    /// The line in the settings text, from 1; nil if the error is not about a place.
    public let line: Int?

    /// The column, in characters from 1; nil as for the line.
    public let column: Int?

    /// The index of the rule, from 0; nil if the error is not about one.
    public let rule: Int?

    /// Makes an error of your own, for example where settings cannot be found.
    public init(code: Code, message: String) {
        (self.code, self.message) = (code, message)
        (line, column, rule) = (nil, nil, nil)
    }
}

extension FlowsieveError: CustomStringConvertible, LocalizedError {
    public var description: String { message }
    public var errorDescription: String? { message }
}

extension FlowsieveError {
    /// Of a call that gives a status alone.
    init(status: fsv_status) {
        let code = Code(rawValue: status)
        self = FlowsieveError(code: code, message: code.message)
    }

    private init(status: fsv_status, taking error: OpaquePointer?) {
        guard let error else {
            self = FlowsieveError(status: status)
            return
        }
        code = Code(rawValue: status)
        message = String(cString: fsv_error_message(error))
        let line = Int(fsv_error_line(error))
        let column = Int(fsv_error_column(error))
        let rule = fsv_error_rule(error)
        self.line = line == 0 ? nil : line
        self.column = column == 0 ? nil : column
        self.rule = rule == .max ? nil : Int(rule)
        fsv_error_free(error)
    }

    /// Calls what gives a status and an error object.
    static func check(
        _ call: (UnsafeMutablePointer<OpaquePointer?>) -> fsv_status
    ) throws(FlowsieveError) {
        var error: OpaquePointer?
        let status = call(&error)
        if status != FSV_STATUS_OK {
            throw FlowsieveError(status: status, taking: error)
        }
    }

    /// Throws if a status is not OK.
    static func check(status: fsv_status) throws(FlowsieveError) {
        if status != FSV_STATUS_OK {
            throw FlowsieveError(status: status)
        }
    }
}
