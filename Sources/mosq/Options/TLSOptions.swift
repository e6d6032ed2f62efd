import ArgumentParser
import FoundationEssentials
import Mosquitto

/// TLS, which any of the files turns on.
struct TLSOptions: ParsableArguments {
    @Option(
        name: .customLong("cafile"), parsing: .unconditional,
        help: "A PEM file with the certificate authorities to trust.")
    var cafile: String?

    @Option(name: .customLong("cert"), parsing: .unconditional, help: "The client certificate, PEM.")
    var certificate: String?

    @Option(name: .customLong("key"), parsing: .unconditional, help: "The client certificate's private key, PEM.")
    var key: String?

    @Flag(name: .customLong("tls-use-os-certs"), help: "Trust the system's certificate authorities.")
    var useSystemTrust = false

    @Option(
        name: .customLong("tls-version"), parsing: .unconditional,
        help: "tlsv1.2, which is the minimum anyway; 1.3 is preferred.")
    var version: String?

    /// `--tls-use-os-certs` alone does not change it, as with mosquitto's commands.
    var defaultPort: Int { cafile != nil || certificate != nil || key != nil ? 8_883 : 1_883 }

    /// - Parameter port: as given. mosquitto's commands take 8883 for TLS with the system's trust.
    func configuration(port: Int?) throws -> TLSConfiguration? {
        if let version, version != "tlsv1.2" {
            throw CommandFailure(message: "--tls-version \(version) is not supported; only the minimum tlsv1.2 is.")
        }
        if (certificate == nil) != (key == nil) {
            throw CommandFailure(message: "Both certfile and keyfile must be provided if one of them is set.")
        }
        for file in [cafile, certificate, key].compactMap({ $0 })
        where !FileManager.default.isReadableFile(atPath: file) {
            throw CommandFailure(message: "Problem setting TLS options: File not found.")
        }
        guard cafile != nil || certificate != nil || useSystemTrust || port == 8_883 else { return nil }
        var tls = TLSConfiguration(trust: cafile.map { .file($0) } ?? .system)
        if let certificate, let key { tls.identity = .files(certificate: certificate, key: key) }
        return tls
    }
}
