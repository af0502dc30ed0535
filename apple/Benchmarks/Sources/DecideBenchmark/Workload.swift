import Flowsieve

/// Rules and flows from a seed: IPv4 networks and hosts, every second with a port or a protocol, and outbound
/// flows, half of them to those.
struct Workload {
    var rules: [FilterRule] = []
    var parts: [Parts] = []

    init(rules count: Int, hasLabels: Bool, hasNames: Bool) {
        var random = Random(state: 1)
        var networks: [(address: UInt32, bits: Int)] = []
        for index in 0..<count {
            let bits = [8, 16, 20, 22, 24, 24, 24, 32, 32, 32, 32, 32][random.below(12)]
            let address = UInt32(random.below(1 << 32)) & ~UInt32(UInt64(1) << (32 - bits) - 1)
            // Not so many that they catch everything.
            guard bits > 8 || index % 50 == 0 else { continue }
            networks.append((address, bits))
            let port = random.below(5) == 0 ? "443" : "0"
            let protocols: [NetworkRule.`Protocol`] = [.any, .any, .any, .TCP, .UDP]
            let network = HostEndpoint(hostname: text(address), port: port)
            rules.append(
                FilterRule(
                    networkRule: NetworkRule(
                        remoteNetwork: network, remotePrefix: bits, localNetwork: nil, localPrefix: 0,
                        protocol: protocols[random.below(5)], direction: .outbound),
                    action: .drop, label: hasLabels ? "rule \(index)" : nil))
        }
        for _ in 0..<4096 {
            let (address, bits) = networks[random.below(networks.count)]
            let host = UInt32(random.below(1 << 32))
            let inside = address | (host & UInt32(UInt64(1) << (32 - bits) - 1))
            parts.append(
                Parts(
                    remote: (random.below(2) == 0 ? inside : host, random.below(3) == 0 ? 80 : 443),
                    local: (0xc0a8_0105, UInt16(49152 + random.below(16384))),
                    protocolNumber: random.below(3) == 0 ? 17 : 6,
                    // Longer than a string keeps in itself.
                    name: hasNames ? "host.of.example-\(host % 100).com" : nil))
        }
    }
}

/// What a flow is made of.
struct Parts {
    let remote: (UInt32, UInt16)
    let local: (UInt32, UInt16)
    let protocolNumber: UInt8
    let name: String?

    func flow() throws(FlowsieveError) -> SocketFlow {
        var flow = SocketFlow(protocolNumber: protocolNumber, direction: .outbound)
        flow.remoteHostname = name
        try withBytes(remote.0) { bytes throws(FlowsieveError) in
            try flow.setRemoteAddress(bytes, port: remote.1)
        }
        try withBytes(local.0) { bytes throws(FlowsieveError) in
            try flow.setLocalAddress(bytes, port: local.1)
        }
        return flow
    }
}

private func text(_ address: UInt32) -> String {
    stride(from: 24, through: 0, by: -8).map { String(address >> $0 & 255) }.joined(separator: ".")
}

@inline(__always)
private func withBytes(
    _ address: UInt32, _ body: (UnsafeRawBufferPointer) throws(FlowsieveError) -> Void
) throws(FlowsieveError) {
    try withUnsafeBytes(of: address.bigEndian) { bytes throws(FlowsieveError) in try body(bytes) }
}

/// A linear congruential generator, from its upper bits.
struct Random {
    var state: UInt64

    mutating func below(_ limit: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int((state >> 32).multipliedFullWidth(by: UInt64(limit)).low >> 32)
    }
}
