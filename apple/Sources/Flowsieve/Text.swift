import CFlowsieve

/// Asks for a text of the C interface: how long it is, then for itself, until it fits.
func text(
    _ write: (UnsafeMutablePointer<CChar>?, Int, UnsafeMutablePointer<Int>) -> fsv_status
) throws(FlowsieveError) -> String {
    var needed = 0
    var status = write(nil, 0, &needed)
    while status == FSV_STATUS_BUFFER_TOO_SMALL {
        let buffer = UnsafeMutableBufferPointer<CChar>.allocate(capacity: needed)
        defer { buffer.deallocate() }
        status = write(buffer.baseAddress, buffer.count, &needed)
        if status == FSV_STATUS_OK {
            // Without the NUL.
            let written = UnsafeRawBufferPointer(buffer).prefix(max(needed - 1, 0))
            return String(decoding: written, as: UTF8.self)
        }
    }
    try FlowsieveError.check(status: status)
    return ""
}

extension UnsafeRawBufferPointer {
    var characters: UnsafePointer<CChar>? { baseAddress?.assumingMemoryBound(to: CChar.self) }
}

extension UnsafeBufferPointer<UInt8> {
    /// The same bytes, as C has text.
    var characters: UnsafePointer<CChar>? { UnsafeRawBufferPointer(self).characters }
}
