// SPDX-License-Identifier: Apache-2.0

import Mosquitto

/// The time at which `mosq bench pub` sent a message, at the beginning of its payload. `mosq bench sub` computes the
/// latency from it, which requires that the clocks of the two machines agree.
enum BenchStamp {
    private static let mark = Array("mosqtime".utf8)
    private static let size = 16

    /// Returns a payload of this size, which begins with the time if the time fits.
    static func payload(size count: Int) -> [UInt8] {
        guard count >= size else { return [UInt8](repeating: UInt8(ascii: "x"), count: count) }
        let time = now
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            buffer.initialize(repeating: UInt8(ascii: "x"))
            for index in 0..<mark.count {
                buffer[index] = mark[index]
                buffer[mark.count + index] = UInt8(truncatingIfNeeded: time >> (8 * UInt64(index)))
            }
            initialized = count
        }
    }

    /// Returns the age of the payload; `nil` if the payload carries no time.
    static func age(of payload: [UInt8]) -> Duration? {
        guard payload.count >= size, payload.starts(with: mark) else { return nil }
        var time: UInt64 = 0
        for index in 0..<8 { time |= UInt64(payload[mark.count + index]) << (8 * UInt64(index)) }
        let now = now
        return now > time ? .nanoseconds(Int64(clamping: now - time)) : .zero
    }

    /// Nanoseconds since 1970, a clock that all processes share.
    private static var now: UInt64 {
        let (seconds, attoseconds) = SystemClock.sinceEpoch.components
        return UInt64(seconds) * 1_000_000_000 + UInt64(attoseconds) / 1_000_000_000
    }
}
