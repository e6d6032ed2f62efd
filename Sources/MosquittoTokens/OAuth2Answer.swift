import AsyncHTTPClient
import FoundationEssentials
import Mosquitto

/// What a token endpoint answered (RFC 6749, sections 5.1 and 5.2).
struct OAuth2Answer {
    var status: Int
    var retryAfter: String?
    var body: Data

    struct Token {
        var text: String
        var expiresIn: Double?
    }

    private struct Success: Decodable {
        var access_token: String
        var expires_in: MQTTTokenClaim?
    }

    private struct Refusal: Decodable {
        var error: String
        var error_description: String?
    }

    /// Section 5.2: what only a person can put right.
    private static let permanent: Set<String> = [
        "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
        "invalid_request",
    ]

    func token() throws(MQTTCredentialError) -> Token {
        guard status == 200 else { throw failure() }
        guard let success = try? JSONDecoder().decode(Success.self, from: body) else {
            throw .transient("the issuer answered 200, but with no token")
        }
        return Token(text: success.access_token, expiresIn: expiresIn(success.expires_in))
    }

    private func expiresIn(_ value: MQTTTokenClaim?) -> Double? {
        let seconds: Double? =
            switch value {
            case .integer(let number)?: Double(number)
            case .number(let number)?: number
            // Some issuers write a number as text.
            case .string(let text)?: Double(text)
            default: nil
            }
        return seconds.flatMap { $0 > 0 && $0 < 1e10 ? $0 : nil }
    }

    private func failure() -> MQTTCredentialError {
        let refusal = try? JSONDecoder().decode(Refusal.self, from: body)
        var message = "the issuer answered \(status)"
        if let refusal {
            message += " \(Self.printable(refusal.error))"
            if let more = refusal.error_description { message += ": \(Self.printable(more))" }
        }
        if (400..<500).contains(status), let refusal, Self.permanent.contains(refusal.error) {
            return .permanent(message)
        }
        return .transient(message, retryAfter: retryAfter.flatMap { Self.delay($0, now: Date.now) })
    }

    /// RFC 9110, section 10.2.3: seconds, or a date. At most a day.
    static func delay(_ text: String, now: Date) -> Duration? {
        let seconds: Double
        if let number = Double(text) {
            seconds = number
        } else if let date = secondsSince1970(httpDate: text) {
            seconds = Double(date) - now.timeIntervalSince1970
        } else {
            return nil
        }
        guard seconds.isFinite, seconds > 0 else { return nil }
        return .seconds(min(seconds, 86_400))
    }

    /// RFC 9110, section 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT".
    private static func secondsSince1970(httpDate text: String) -> Int? {
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

    /// What an issuer says, fit for a log.
    static func printable(_ text: String) -> String {
        String(text.unicodeScalars.prefix(200).map { $0.value < 0x20 || $0.value == 0x7F ? " " : Character($0) })
    }

    /// The kind of an HTTP failure, without what it may quote.
    static func short(_ error: any Error) -> String {
        if let error = error as? HTTPClientError { return error.shortDescription }
        return "\(type(of: error))"
    }
}
