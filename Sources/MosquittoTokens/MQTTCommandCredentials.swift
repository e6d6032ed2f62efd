import FoundationEssentials
public import Mosquitto
import Subprocess

#if canImport(System)
import System
#else
import SystemPackage
#endif

/// Runs a program that prints a token: a credential helper.
///
/// It prints the bare token, with or without a newline, or a JSON object `{"token": "...", "expiresAt": RFC 3339,
/// "username": "..."}` of which only `token` is needed. No shell is involved. A status other than 0 is a failure that may pass,
/// and so is a program that prints nothing or too much; one that does not exist is permanent. The call is cancelled, and the
/// program killed, after ``MQTTTimeouts/credentials``.
public struct MQTTCommandCredentials: MQTTCredentialProvider {
    /// The program: a path, or a name that is looked for in `PATH`.
    public var executable: String
    public var arguments: [String]
    /// Variables that are added to this process's environment.
    public var environment: [String: String]
    /// The user name, unless the program prints one. Default none.
    public var username: MQTTTokenUsername

    /// What a program may print.
    private static let outputLimit = 131_072
    private static let errorLimit = 16_384

    public init(
        _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:],
        username: MQTTTokenUsername = .none
    ) {
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
        self.username = username
    }

    public var source: String { "command" }
    public var reuse: MQTTCredentialReuse { .untilRefresh }

    public func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials {
        let variables = Dictionary(
            uniqueKeysWithValues: environment.map { (Environment.Key(stringLiteral: $0), $1 as String?) })
        var options = PlatformOptions()
        options.teardownSequence = [.send(signal: .terminate, allowedDurationToNextStep: .milliseconds(500))]
        let text: String
        do {
            let result = try await Subprocess.run(
                executable.contains("/") ? .path(FilePath(executable)) : .name(executable),
                arguments: Arguments(arguments), environment: .inherit.updating(variables), platformOptions: options,
                output: .string(limit: Self.outputLimit), error: .string(limit: Self.errorLimit))
            guard result.terminationStatus.isSuccess else {
                throw MQTTCredentialError.transient(
                    "\(name) ended with \(result.terminationStatus)\(Self.words(result.standardError))")
            }
            text = result.standardOutput
        } catch let error as SubprocessError where error.code == .executableNotFound {
            throw MQTTCredentialError.permanent("there is no program \"\(executable)\"")
        } catch let error as SubprocessError {
            throw MQTTCredentialError.transient("\(name) could not be run: \(error.code)")
        }
        return try parse(text)
    }

    private var name: String { "the program \"\(executable)\"" }

    private struct Printed: Decodable {
        var token: String
        var expiresAt: String?
        var username: String?
    }

    func parse(_ text: String) throws -> MQTTCredentials {
        let trimmed = text.hasSuffix("\r\n") ? text.dropLast() : text.hasSuffix("\n") ? text.dropLast() : text[...]
        guard trimmed.hasPrefix("{") else { return try username.credentials(String(trimmed)) }
        guard let printed = try? JSONDecoder().decode(Printed.self, from: Data(trimmed.utf8)) else {
            throw MQTTCredentialError.transient("\(name) printed JSON that is not as agreed")
        }
        var expiresAt: Date?
        if let time = printed.expiresAt {
            expiresAt =
                (try? Date(time, strategy: .iso8601))
                ?? (try? Date(time, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true)))
            if expiresAt == nil { throw MQTTCredentialError.transient("\(name) printed an expiresAt that is no time") }
        }
        return try (printed.username.map { .fixed($0) } ?? username).credentials(printed.token, expiresAt: expiresAt)
    }

    /// What the program said on standard error, less what may be a token.
    static func words(_ text: String?) -> String {
        guard let text, !text.isEmpty else { return "" }
        let words = text.prefix(400).split(whereSeparator: \.isWhitespace).map { word in
            word.count > 40 || word.contains("eyJ") ? "(redacted)" : word
        }
        return ": " + words.joined(separator: " ")
    }
}

extension MQTTCredentialProvider where Self == MQTTCommandCredentials {
    /// A program that prints a token.
    public static func command(
        _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:],
        username: MQTTTokenUsername = .none
    ) -> MQTTCommandCredentials {
        MQTTCommandCredentials(executable, arguments, environment: environment, username: username)
    }
}
