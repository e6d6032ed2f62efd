// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

#if canImport(Darwin)
internal import Darwin
#elseif canImport(Musl)
internal import Musl
#else
internal import Glibc
#endif

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// A real `mosquitto` broker for one test: a separate process with its own port, ended with the last reference.
public final class LocalMosquitto: Sendable {
    /// The port on 127.0.0.1, the same after ``restart()``.
    public let port: Int

    private let executable: String
    private let directory: TemporaryDirectory
    private let process: Mutex<ChildProcess?>

    /// Starts mosquitto and waits until it accepts connections.
    ///
    /// - Parameters:
    ///   - tls: The server's certificate and key. Without it the listener speaks plain TCP.
    ///   - authority: The authority of client certificates (PEM), mosquitto's `cafile`.
    ///   - requireClientCertificate: True if a client must present a certificate of `authority`
    ///     (`require_certificate`).
    ///   - extraConfiguration: Lines for the end of the configuration; options of the listener are allowed.
    ///   - anonymous: True if clients without a user name may connect.
    ///   - users: Passwords by user name. If not empty, other user names are refused.
    ///   - port: The port, or `nil` for any free one.
    ///   - persistence: True if sessions, queued and retained messages survive ``terminate()`` and ``restart()``.
    ///   - executable: The path of mosquitto. By default it is looked up in `PATH` and the usual folders of packages.
    /// - Throws: ``MosquittoTestingError/mosquittoNotInstalled(searched:)`` and
    ///   ``MosquittoTestingError/mosquittoDidNotStart(log:)``.
    public static func start(
        tls: TestIdentity? = nil,
        authority: String? = nil,
        requireClientCertificate: Bool = false,
        extraConfiguration: String = "",
        anonymous: Bool = true,
        users: [String: String] = [:],
        port: Int? = nil,
        persistence: Bool = false,
        executable: String? = nil
    ) async throws -> LocalMosquitto {
        let executable = try executable ?? find()
        var attempt = 1
        while true {
            let broker = LocalMosquitto(
                port: try port ?? freePort(),
                executable: executable,
                directory: try TemporaryDirectory()
            )
            var lines = try broker.listener(tls: tls, authority: authority, requireClientCertificate)
            lines.append("allow_anonymous \(anonymous)")
            if !users.isEmpty {
                let text = MosquittoPasswordFile.text(users: users)
                lines.append("password_file \(try broker.directory.write(text, to: "passwords"))")
            }
            if persistence {
                lines += ["persistence true", "persistence_location \(broker.directory.path)/"]
            }
            lines.append(extraConfiguration)
            try broker.directory.write(lines.joined(separator: "\n") + "\n", to: configurationName)
            do {
                try await broker.launch()
                return broker
            } catch MosquittoTestingError.mosquittoDidNotStart(let log)
                where port == nil && attempt < 5 && log.contains("Address already in use")
            {
                // Another process took the port between freePort() and bind(2).
                attempt += 1
            }
        }
    }

    private init(port: Int, executable: String, directory: TemporaryDirectory) {
        self.port = port
        self.executable = executable
        self.directory = directory
        process = Mutex(nil)
    }

    deinit {
        kill()
    }

    /// The log of mosquitto so far, across all restarts.
    public var log: String {
        (try? String(contentsOfFile: directory.path + "/" + Self.logName, encoding: .utf8)) ?? ""
    }

    /// True if the process is running.
    public var isRunning: Bool { process.withLock { $0 }?.isRunning ?? false }

    /// Kills the process (SIGKILL): nothing is saved, and connections end without a packet. Does nothing if the process
    /// is not running.
    public func kill() {
        process.withLock { $0 }?.kill()
    }

    /// Stops the process (SIGSTOP) until ``resume()``: its connections stay open, without answers. Does nothing if the
    /// process is not running.
    public func suspend() {
        process.withLock { $0 }?.setSuspended(true)
    }

    /// Continues a suspended process (SIGCONT).
    public func resume() {
        process.withLock { $0 }?.setSuspended(false)
    }

    /// Ends the process (SIGTERM), which saves its database if it is persistent. After five seconds it is killed.
    public func terminate() async {
        await process.withLock { $0 }?.terminate(deadline: .seconds(5))
    }

    /// Starts the process again with the same port and configuration. A running process is terminated first.
    ///
    /// - Throws: ``MosquittoTestingError/mosquittoDidNotStart(log:)``.
    public func restart() async throws {
        await terminate()
        try await launch()
    }

    private static let logName = "mosquitto.log"
    private static let configurationName = "mosquitto.conf"

    private func listener(
        tls: TestIdentity?,
        authority: String?,
        _ requireClientCertificate: Bool
    ) throws -> [String] {
        var lines = ["log_dest stderr", "log_type all"]
        // If root starts mosquitto, it switches to the user "mosquitto", who may not read this private folder.
        if geteuid() == 0 { lines.append("user root") }
        lines.append("listener \(port) 127.0.0.1")
        if let tls {
            lines.append("certfile \(try directory.write(tls.certificatePEM, to: "server.pem"))")
            lines.append("keyfile \(try directory.write(tls.privateKeyPEM, to: "server.key"))")
        }
        if let authority {
            lines.append("cafile \(try directory.write(authority, to: "authority.pem"))")
            lines.append("require_certificate \(requireClientCertificate)")
        }
        return lines
    }

    private func launch() async throws {
        let lengthBefore = log.count
        let child = try ChildProcess(
            executable: executable,
            arguments: ["-c", directory.path + "/" + Self.configurationName],
            log: directory.path + "/" + Self.logName
        )
        process.withLock { $0 = child }
        // mosquitto logs "mosquitto version x running" after bind(2). A connection proves too little: if another
        // process has the port, connecting works until our mosquitto fails. A configuration that silences the log costs
        // the two seconds.
        _ = await eventually(timeout: .seconds(2)) {
            !child.isRunning || log.dropFirst(lengthBefore).contains(" running\n")
        }
        _ = await eventually(timeout: .seconds(30)) { !child.isRunning || LoopbackSocket.accepts(port: port) }
        guard child.isRunning, LoopbackSocket.accepts(port: port) else {
            child.kill()
            throw MosquittoTestingError.mosquittoDidNotStart(log: log)
        }
    }

    private static func find() throws(MosquittoTestingError) -> String {
        let path = getenv("PATH").map { String(cString: $0) } ?? ""
        let folders =
            path.split(separator: ":").map(String.init)
            + ["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin", "/opt/homebrew/opt/mosquitto/sbin"]
        for folder in folders where access("\(folder)/mosquitto", X_OK) == 0 {
            return "\(folder)/mosquitto"
        }
        throw .mosquittoNotInstalled(searched: folders)
    }
}
