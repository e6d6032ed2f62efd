// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// Proxies by URL, as in the environment.
extension MQTTProxy {
    /// Creates a proxy from `scheme://[username[:password]@]host[:port]`.
    ///
    /// The schemes are `http` (default port 80), `https` (default port 443; TLS with the system's trust, unless ``tls``
    /// is set afterwards), `socks5` and `socks5h` (default port 1080; the proxy resolves the broker's name with both).
    /// User name and password are percent-decoded; an IPv6 address has brackets. Throws
    /// ``MQTTError/Code/invalidConfiguration``, or ``MQTTError/Code/unsupported`` for another scheme. No error quotes
    /// the URL, any part of which may be a password.
    public init(url: String) throws(MQTTError) {
        let (scheme, authority) = try Self.parts(of: url)
        let kind: Kind
        switch scheme {
        case "http": kind = .http
        case "https": kind = .https
        case "socks5", "socks5h": kind = .socks5
        default:
            throw .invalid(
                .unsupported,
                "the scheme of the proxy's URL is not supported; use http://, https://, socks5:// or socks5h://")
        }
        var hostAndPort = authority
        var username: String?
        var password: MQTTSecret?
        if let at = authority.lastIndex(of: "@") {
            let user = authority[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            username = try Self.decoded(user[0])
            if user.count == 2 { password = MQTTSecret(try Self.decoded(user[1])) }
            hostAndPort = authority[authority.index(after: at)...]
        }
        let (host, port) = try Self.hostAndPort(hostAndPort)
        self.init(kind, host: host, port: port ?? kind.standardPort, username: username, password: password)
        try validate()
    }

    /// Returns the proxy that the environment names, or `nil` if it names none. The client never reads the environment
    /// by itself: `configuration.connection.proxy = try .fromEnvironment()` is the way to opt in.
    ///
    /// The first of `https_proxy`, `HTTPS_PROXY`, `all_proxy` and `ALL_PROXY` that is not empty is the URL of the proxy
    /// (``init(url:)``; without a scheme the proxy is an HTTP one). `no_proxy` or `NO_PROXY` names the brokers that are
    /// connected to directly, separated by commas: a name, with all names below it; an address; a block such as
    /// `10.0.0.0/8`; each with or without `:port`; or `*` for all.
    ///
    public static func fromEnvironment() throws(MQTTError) -> MQTTProxy? {
        try fromEnvironment(ProcessInfo.processInfo.environment)
    }

    /// Returns the proxy that these variables name, as ``fromEnvironment()`` does for those of the process.
    public static func fromEnvironment(_ environment: [String: String]) throws(MQTTError) -> MQTTProxy? {
        func first(_ names: String...) -> (name: String, value: String)? {
            for name in names {
                if let value = environment[name], !value.isEmpty { return (name, value) }
            }
            return nil
        }
        guard let (name, url) = first("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY") else { return nil }
        do throws(MQTTError) {
            var proxy = try MQTTProxy(url: url.contains("://") ? url : "http://" + url)
            proxy.exceptions = (first("no_proxy", "NO_PROXY")?.value ?? "").split { $0 == "," || $0.isWhitespace }
                .map(String.init)
            return proxy
        } catch {
            throw .invalid(error.code, "the environment's \(name) cannot be used: \(error.message)")
        }
    }

    /// The scheme in lower case, and the part up to the path, which must be empty.
    private static func parts(of url: String) throws(MQTTError) -> (scheme: String, authority: Substring) {
        guard let separator = url.firstRange(of: "://") else {
            throw .invalid(
                .invalidConfiguration, "the proxy's URL has no scheme; give http://host:port or socks5://host")
        }
        var authority = url[separator.upperBound...]
        if authority.hasSuffix("/") { authority.removeLast() }
        if authority.contains(where: { "/?#".contains($0) }) {
            throw .invalid(
                .invalidConfiguration,
                "the proxy's URL has a path, or a password with the character /, ? or #, which must be percent-encoded")
        }
        return (url[..<separator.lowerBound].lowercased(), authority)
    }

    private static func hostAndPort(_ text: Substring) throws(MQTTError) -> (host: String, port: Int?) {
        var host = text
        var port: Substring?
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            host = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            if !rest.isEmpty { port = rest }
        } else if let colon = text.lastIndex(of: ":") {
            host = text[..<colon]
            port = text[colon...]
        }
        guard let port else { return (String(host), nil) }
        guard port.hasPrefix(":"), port.dropFirst().utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = Int(port.dropFirst())
        else { throw .invalid(.invalidConfiguration, "the port in the proxy's URL is not a number") }
        return (String(host), number)
    }

    private static func decoded(_ text: Substring) throws(MQTTError) -> String {
        guard let decoded = PercentEncoding.decoded(text) else { throw notEncoded }
        return decoded
    }

    private static var notEncoded: MQTTError {
        .invalid(
            .invalidConfiguration, "the user name or password in the proxy's URL is not percent-encoded UTF-8")
    }
}

extension MQTTProxy.Kind {
    /// The port if a URL names none.
    fileprivate var standardPort: Int {
        switch self {
        case .socks5: 1_080
        case .http: 80
        case .https: 443
        }
    }
}
