// SPDX-License-Identifier: Apache-2.0

/// Times in the headers of HTTP.
package enum HTTPDate {
    /// Parses a date of HTTP (RFC 9110, section 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT".
    package static func secondsSince1970(_ text: String) -> Int? {
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let parts = text.split(whereSeparator: { $0 == " " || $0 == ":" })
        guard parts.count == 8, parts[7] == "GMT", let day = Int(parts[1]), (1...31).contains(day),
            let month = months.firstIndex(where: { $0 == parts[2] }), let year = Int(parts[3]),
            (1970...9_999).contains(year), let hour = Int(parts[4]), let minute = Int(parts[5]),
            let second = Int(parts[6]), (0...23).contains(hour), (0...59).contains(minute), (0...60).contains(second)
        else { return nil }
        // Years from March, so that the leap day is the last one.
        let shifted = month < 2 ? year - 1 : year
        let dayOfYear = (153 * ((month + 10) % 12) + 2) / 5 + day - 1
        let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
        return ((days * 24 + hour) * 60 + minute) * 60 + second
    }

    /// Returns the delay of a `Retry-After` (RFC 9110, section 10.2.3), in seconds or as a date; at most `limit`.
    ///
    /// - Parameter now: the time in seconds since 1970.
    package static func delay(retryAfter text: String, now: Double, limit: Duration) -> Duration? {
        let seconds: Double
        if let number = Double(text) {
            seconds = number
        } else if let date = secondsSince1970(text) {
            seconds = Double(date) - now
        } else {
            return nil
        }
        guard seconds.isFinite, seconds > 0 else { return nil }
        return min(.seconds(min(seconds, 1e9)), limit)
    }
}
