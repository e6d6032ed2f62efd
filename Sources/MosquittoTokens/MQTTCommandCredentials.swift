// SPDX-License-Identifier: Apache-2.0

public import Mosquitto
import Subprocess

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

#if canImport(System)
import System
#else
import SystemPackage
#endif

/// Runs a program that prints a token: a credential helper.
///
/// The program prints at most 64 KiB: the bare token, with or without a newline, or a JSON object
/// `{"token": "...", "expiresAt": RFC 3339, "username": "..."}`, of which only `token` is required. No shell is
/// involved, and standard input is empty.
///
/// A missing program is a permanent failure. All other failures are transient: a status other than 0, output that is
/// empty, too long or malformed, and a program that runs longer than ``timeout``. After the timeout, and when the
/// request is cancelled, the program and all processes in its process group receive SIGTERM, and half a second later
/// SIGKILL.
///
/// The description, mirror and dump show neither the arguments nor the values of the variables.
public struct MQTTCommandCredentials: MQTTCredentialProvider {
    /// The program: a path, or a name that is looked up in the program's `PATH`.
    public var executable: String
    /// The arguments, passed unchanged: no shell splits or expands them. Default none.
    public var arguments: [String]
    /// Environment variables of the program, in addition to inherited ones. Default none.
    public var environment: [String: String]
    /// True if the program inherits the environment of this process. Default `true`.
    public var inheritsEnvironment: Bool = true
    /// The user name, unless the program prints one. Default none.
    public var username: MQTTTokenUsername
    /// Maximum run time of the program, at most an hour. Default 10 s; `MQTTTimeouts.credentials` also applies.
    public var timeout: Duration = .seconds(10)

    /// Maximum size of the program's output: the longest password of a CONNECT, and a newline.
    private static let outputLimit = 65_536
    /// Number of bytes kept of the program's standard error; the rest is discarded.
    private static let errorLimit = 16_384

    /// A program that prints a token. It is not looked up until credentials are requested.
    public init(
        _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:],
        username: MQTTTokenUsername = .none
    ) {
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
        self.username = username
    }

    /// "command".
    public var source: String { "command" }
    /// A token is used until it is due or refused.
    public var reuse: MQTTCredentialReuse { .untilRefresh }

    /// Runs the program. Throws `MQTTCredentialError` if it fails, and `CancellationError` if the request is
    /// cancelled.
    public func credentials(for attempt: MQTTConnectAttempt) async throws -> MQTTCredentials {
        let output = try await withDeadline(timeout, orFailWith: "\(name) took longer than \(timeout)") {
            try await run()
        }
        guard let text = String(validating: output, as: UTF8.self) else {
            throw MQTTCredentialError.transient("\(name) printed what is not UTF-8 text")
        }
        return try parse(text)
    }

    private var name: String { "the program \"\(executable)\"" }

    /// Runs the program and returns its standard output.
    private func run() async throws -> [UInt8] {
        var options = PlatformOptions()
        // A separate group, so that processes that the program has started end with it.
        options.processGroupID = 0
        options.teardownSequence = [
            .send(signal: .terminate, toProcessGroup: true, allowedDurationToNextStep: .milliseconds(500))
        ]
        do {
            let result = try await Subprocess.run(
                executable.contains("/") ? .path(FilePath(executable)) : .name(executable),
                arguments: Arguments(arguments), environment: variables, platformOptions: options, input: .none,
                output: .bytes(limit: Self.outputLimit), error: .sequence
            ) { execution in
                var said: [UInt8] = []
                for try await buffer in execution.standardError where said.count < Self.errorLimit {
                    buffer.withUnsafeBytes { said += $0.prefix(Self.errorLimit - said.count) }
                }
                return said
            }
            // A program that was killed because its request was cancelled has not failed.
            try Task.checkCancellation()
            guard result.terminationStatus.isSuccess else {
                let said = Redaction.standardError(
                    result.closureResult, without: Array(environment.values) + argumentValues)
                throw MQTTCredentialError.transient(
                    "\(name) ended with \(result.terminationStatus)" + (said.isEmpty ? "" : ": \(said)"))
            }
            return result.standardOutput
        } catch let error as SubprocessError {
            try Task.checkCancellation()
            switch error.code {
            case .executableNotFound: throw MQTTCredentialError.permanent("there is no program \"\(executable)\"")
            case .outputLimitExceeded:
                throw MQTTCredentialError.transient("\(name) printed more than \(Self.outputLimit) bytes")
            default: throw MQTTCredentialError.transient("\(name) could not be run: \(error.code)")
            }
        }
    }

    /// The arguments without the names of options: a program may quote what it was given.
    private var argumentValues: [String] {
        arguments.flatMap { argument -> [String] in
            guard argument.hasPrefix("-") else { return [argument] }
            let value = argument.drop { $0 != "=" }.dropFirst()
            return value.isEmpty ? [] : [String(value)]
        }
    }

    private var variables: Environment {
        let added = environment.map { (Environment.Key(stringLiteral: $0), $1) }
        if inheritsEnvironment {
            return .inherit.updating(Dictionary(added.map { ($0, $1 as String?) }) { $1 })
        }
        return .custom(Dictionary(added) { $1 })
    }

    private struct Printed: Decodable {
        var token: String
        var expiresAt: String?
        var username: String?
    }

    func parse(_ text: String) throws -> MQTTCredentials {
        guard text.first(where: { !$0.isWhitespace }) == "{" else {
            return try username.credentials(SecretFile.trimmed(text))
        }
        guard let printed = try? JSONDecoder().decode(Printed.self, from: Data(text.utf8)) else {
            throw MQTTCredentialError.transient("\(name) printed JSON that is not as agreed")
        }
        var expiresAt: Date?
        if let time = printed.expiresAt {
            expiresAt = Self.date(time)
            if expiresAt == nil { throw MQTTCredentialError.transient("\(name) printed an expiresAt that is no time") }
        }
        return try (printed.username.map { .fixed($0) } ?? username).credentials(printed.token, expiresAt: expiresAt)
    }

    /// RFC 3339, section 5.6, with or without a fraction of a second.
    private static func date(_ text: String) -> Date? {
        (try? Date(text, strategy: .iso8601))
            ?? (try? Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true)))
    }
}

extension MQTTCommandCredentials: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "MQTTCommandCredentials(\"\(executable)\", \(arguments.count) arguments)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror {
        Mirror(
            self,
            children: [
                "executable": executable, "arguments": arguments.count, "environment": environment.keys.sorted(),
                "inheritsEnvironment": inheritsEnvironment, "username": username, "timeout": timeout,
            ])
    }
}

extension MQTTCredentialProvider where Self == MQTTCommandCredentials {
    /// A program that prints a token.
    ///
    /// - Parameters:
    ///   - executable: A path, or a name that is looked up in `PATH`.
    ///   - arguments: The arguments, passed unchanged without a shell.
    ///   - environment: Environment variables, in addition to those of this process.
    ///   - username: The user name, unless the program prints one.
    public static func command(
        _ executable: String, _ arguments: [String] = [], environment: [String: String] = [:],
        username: MQTTTokenUsername = .none
    ) -> MQTTCommandCredentials {
        MQTTCommandCredentials(executable, arguments, environment: environment, username: username)
    }
}
