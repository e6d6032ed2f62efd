import ArgumentParser
import Mosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The command and its subcommands.
struct Mosq: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mosq",
        abstract: "An MQTT client for the terminal: mosquitto's commands, with retry and token rotation.",
        version: "mosq 0.1.0, on libmosquitto \(MosquittoLibrary.version)",
        subcommands: [Pub.self, Sub.self, Demo.self],
        helpNames: .long
    )
}

/// Not top-level code, which would be on the main actor: callbacks that C calls on another thread must not be formed there.
@main
enum Main {
    static func main() async {
        do {
            var command = try Mosq.parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let error as ExitCode {
            exit(error.rawValue)
        } catch let failure as CommandFailure {
            standardError(failure.message)
            exit(failure.status)
        } catch {
            // Help and version are errors to the parser, and successes to everybody else.
            if Mosq.exitCode(for: error) == .success { Mosq.exit(withError: error) }
            standardError("Error: \(Mosq.message(for: error))")
            standardError("\nUse 'mosq --help' or 'mosq SUBCOMMAND --help' to see usage.")
            exit(1)
        }
    }
}

/// Ends the process with a message for standard error.
struct CommandFailure: Error {
    var message: String
    var status: Int32 = 1
}

/// Writes a line to standard error.
func standardError(_ line: String) {
    var output = StandardOutput(descriptor: STDERR_FILENO)
    output.write((line + "\n").utf8)
    output.flush()
}
