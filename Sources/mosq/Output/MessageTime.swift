// SPDX-License-Identifier: Apache-2.0

import Mosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The time of a message's receipt, in the time zone of the process.
struct MessageTime {
    /// Since 1970, without leap seconds.
    let seconds: Int
    let nanoseconds: Int
    private var calendar = tm()

    init(seconds: Int, nanoseconds: Int) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
        var time = time_t(seconds)
        localtime_r(&time, &calendar)
    }

    static func now() -> MessageTime {
        let (seconds, attoseconds) = SystemClock.sinceEpoch.components
        return MessageTime(seconds: Int(seconds), nanoseconds: Int(attoseconds / 1_000_000_000))
    }

    /// POSIX does not require `localtime_r` to read `TZ`.
    static func readTimeZone() { tzset() }

    /// Returns the output of `strftime`; empty if it needs more than 100 bytes, as in mosquitto's commands.
    func formatted(_ format: String) -> [UInt8] {
        format.withCString { formatted(cString: $0) }
    }

    /// Returns the output of `strftime` for one conversion character.
    func formatted(_ conversion: UInt8) -> [UInt8] {
        let format = [CChar(bitPattern: UInt8(ascii: "%")), CChar(bitPattern: conversion), 0]
        return format.withUnsafeBufferPointer { format in
            guard let start = format.baseAddress else { return [] }
            return formatted(cString: start)
        }
    }

    private func formatted(cString format: UnsafePointer<CChar>) -> [UInt8] {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 100) { buffer in
            guard let start = buffer.baseAddress else { return [] }
            var calendar = calendar
            let count = strftime(start, buffer.count, format, &calendar)
            return buffer[..<count].map { UInt8(bitPattern: $0) }
        }
    }

    /// Returns the first digits of the fraction of the second, at most nine.
    func fraction(digits: Int) -> [UInt8] {
        let all = Array(String(nanoseconds).utf8)
        return Array((Array(repeating: UInt8(ascii: "0"), count: 9 - all.count) + all).prefix(digits))
    }
}
