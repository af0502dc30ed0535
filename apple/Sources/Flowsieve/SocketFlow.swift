import CFlowsieve

/// NEFilterSocketFlow: the question asked. What a flow does not say is not guessed.
///
/// It is the struct of the C interface and the host name, which is not copied. Where addresses are known as
/// bytes, nothing is parsed.
public struct SocketFlow: @unchecked Sendable {
    // INVARIANT: raw has no host name, and so no pointer. The name is empty if there is none.
    // PERF: not as an optional, which is copied by way of its type's metadata; and not as a bit of raw, so that
    // raw is copied in the pieces in which it was written; decide/ipv4-1k/there/swift.
    var raw: fsv_flow
    private(set) var name = ""
    private(set) var hasName = false
    /// Whether the name is that of the remote endpoint, and goes with it.
    private var isNameOfEndpoint = false

    /// `remoteHostname`: set where the program connected by name (S-44).
    public var remoteHostname: String? {
        get { hasName ? name : nil }
        set { (name, hasName, isNameOfEndpoint) = (newValue ?? "", newValue != nil, false) }
    }

    /// Makes a flow of which neither endpoint nor the host name is known.
    ///
    /// - Parameters:
    ///   - protocolNumber: the IANA number, `socketProtocol`: 6 is TCP, 17 is UDP.
    ///   - direction: the initial direction (S-35).
    public init(protocolNumber: UInt8, direction: TrafficDirection) {
        raw = fsv_flow()
        raw.size = UInt32(MemoryLayout<fsv_flow>.size)
        raw.protocol = protocolNumber
        raw.direction = direction.rawValue
    }

    /// Sets the remote endpoint from the texts of an NWHostEndpoint: an IPv4 or IPv6 address, with zone id
    /// ("fe80::1%en0") or without, or a host name (S-52), which serves as ``remoteHostname`` too, until the
    /// remote endpoint is set again, unless one was set; and digits, where "0" and "" stand for a port that is
    /// not known.
    public mutating func setRemoteEndpoint(
        hostname: String, port: String
    ) throws(FlowsieveError) {
        try set(hostname, port, fsv_flow_set_remote)
        if isNameOfEndpoint {
            remoteHostname = nil
        }
        guard raw.known & UInt32(FSV_KNOWN_HOSTNAME) != 0 else { return }
        forgetHostname()
        if !hasName {
            (name, hasName, isNameOfEndpoint) = (hostname, true, true)
        }
    }

    /// Sets the local endpoint in the same way. A name is an error.
    ///
    /// An address of zeros, which the system gives before the socket is bound, and port 0 count as not
    /// known yet, each by itself (S-21).
    public mutating func setLocalEndpoint(hostname: String, port: String) throws(FlowsieveError) {
        try set(hostname, port, fsv_flow_set_local)
    }

    /// Sets the remote endpoint from an address of 4 or 16 bytes in network order, a port (0: not known)
    /// and the zone id, an interface name or a number as text.
    public mutating func setRemoteAddress(
        _ address: UnsafeRawBufferPointer, port: UInt16, zone: String? = nil
    ) throws(FlowsieveError) {
        let family = try SocketFlow.family(of: address)
        if let zone {
            raw.remote_scope = try SocketFlow.scope(zone)
            raw.known |= UInt32(FSV_KNOWN_REMOTE_SCOPE)
        } else {
            raw.known &= ~UInt32(FSV_KNOWN_REMOTE_SCOPE)
        }
        if isNameOfEndpoint {
            remoteHostname = nil
        }
        SocketFlow.copy(address, to: &raw.remote_address)
        (raw.remote_family, raw.remote_port) = (family, port)
        raw.known |= UInt32(FSV_KNOWN_REMOTE)
    }

    /// Sets the local endpoint in the same way.
    public mutating func setLocalAddress(
        _ address: UnsafeRawBufferPointer, port: UInt16, zone: String? = nil
    ) throws(FlowsieveError) {
        let family = try SocketFlow.family(of: address)
        if let zone {
            raw.local_scope = try SocketFlow.scope(zone)
            raw.known |= UInt32(FSV_KNOWN_LOCAL_SCOPE)
        } else {
            raw.known &= ~UInt32(FSV_KNOWN_LOCAL_SCOPE)
        }
        SocketFlow.copy(address, to: &raw.local_address)
        (raw.local_family, raw.local_port) = (family, port)
        raw.known |= UInt32(FSV_KNOWN_LOCAL)
    }

    /// Whether the local address and the local port are known. Outbound TCP is asked about before they are.
    public var isLocalEndpointKnown: Bool {
        guard raw.known & UInt32(FSV_KNOWN_LOCAL) != 0, raw.local_port != 0 else { return false }
        return withUnsafeBytes(of: raw.local_address) { address in
            address.prefix(Int(raw.local_family) == FSV_FAMILY_IPV4 ? 4 : 16).contains { $0 != 0 }
        }
    }
}

extension SocketFlow {
    private typealias Scope = (
        CChar, CChar, CChar, CChar, CChar, CChar, CChar, CChar, CChar, CChar, CChar, CChar, CChar, CChar,
        CChar, CChar
    )

    /// Decides the flow where it stands by a function of the C interface. The owner is kept if there is a label.
    @inline(__always)
    mutating func decide(
        failureAction: FilterAction, owner: AnyObject & Sendable,
        _ call: (UnsafePointer<fsv_flow>, UnsafeMutablePointer<fsv_decision>) -> fsv_status
    ) -> Decision {
        var decision = fsv_decision()
        decision.size = UInt32(MemoryLayout<fsv_decision>.size)
        let status = withFlow { flow in call(flow, &decision) }
        return withUnsafePointer(to: &decision) { decision in
            .made(status, decision, failureAction: failureAction, owner: owner)
        }
    }

    /// Gives the struct of the C interface, with the host name in it, for the time of a call.
    @inline(__always)
    mutating func withFlow<Result>(_ body: (UnsafePointer<fsv_flow>) -> Result) -> Result {
        guard hasName else { return withUnsafePointer(to: &raw, body) }
        var name = name
        // Names are kept as UTF-8 as a rule, and then this copies nothing.
        return name.withUTF8 { bytes in
            raw.known |= UInt32(FSV_KNOWN_HOSTNAME)
            raw.remote_hostname = bytes.characters
            raw.remote_hostname_len = bytes.count
            defer { forgetHostname() }
            return withUnsafePointer(to: &raw, body)
        }
    }

    private mutating func forgetHostname() {
        raw.known &= ~UInt32(FSV_KNOWN_HOSTNAME)
        (raw.remote_hostname, raw.remote_hostname_len) = (nil, 0)
    }

    private mutating func set(
        _ hostname: String, _ port: String,
        _ set: (
            UnsafeMutablePointer<fsv_flow>?, UnsafePointer<CChar>?, Int, UnsafePointer<CChar>?, Int
        ) -> fsv_status
    ) throws(FlowsieveError) {
        var (host, port) = (hostname, port)
        let status = host.withUTF8 { host in
            port.withUTF8 { port in
                set(&raw, host.characters, host.count, port.characters, port.count)
            }
        }
        if status != FSV_STATUS_OK {
            let code = FlowsieveError.Code(rawValue: status)
            throw FlowsieveError(code: code, message: "endpoint `\(hostname)` port `\(port)`: \(code.message)")
        }
    }

    // PERF: the four bytes of IPv4 as one number, for which nothing is called; decide/ipv4-1k/made/swift.
    @inline(__always)
    private static func copy<Field>(_ address: UnsafeRawBufferPointer, to field: inout Field) {
        withUnsafeMutableBytes(of: &field) { field in
            if address.count == 4 {
                field.storeBytes(of: address.loadUnaligned(as: UInt32.self), as: UInt32.self)
            } else {
                field.copyMemory(from: address)
            }
        }
    }

    @inline(__always)
    private static func family(
        of address: UnsafeRawBufferPointer
    ) throws(FlowsieveError) -> fsv_family {
        switch address.count {
        case 4: return fsv_family(FSV_FAMILY_IPV4)
        case 16: return fsv_family(FSV_FAMILY_IPV6)
        case let count: throw noAddress(of: count)
        }
    }

    @inline(never)
    private static func noAddress(of count: Int) -> FlowsieveError {
        FlowsieveError(code: .invalidHost, message: "an address has 4 or 16 bytes, not \(count)")
    }

    private static func scope(_ zone: String) throws(FlowsieveError) -> Scope {
        var zone = zone
        var scope: Scope = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        let fits = zone.withUTF8 { zone in
            guard zone.count < MemoryLayout<Scope>.size else { return false }
            withUnsafeMutableBytes(of: &scope) { $0.copyMemory(from: UnsafeRawBufferPointer(zone)) }
            return true
        }
        guard fits else {
            let code = FlowsieveError.Code.invalidScope
            throw FlowsieveError(code: code, message: "zone id `\(zone)`: \(code.message)")
        }
        return scope
    }
}
