// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A WebSocket to the broker, in the place of plain TCP or TLS.
struct WebSocketOptions: ParsableArguments {
    @Flag(name: .customLong("ws"), help: "Connect by a WebSocket. Default port: 80, with TLS 443.")
    var isOn = false

    @Option(
        name: .customLong("ws-path"), parsing: .unconditional,
        help: "The path of the WebSocket, percent-encoded, with a query if there is one. Default: /mqtt.")
    var path: String?

    @Option(
        name: .customLong("ws-header"), parsing: .unconditionalSingleValue,
        help: "A header of the request that opens the WebSocket, such as 'X-Tenant: one'. May be repeated.")
    var headers: [String] = []

    @Option(
        name: .customLong("ws-header-file"), parsing: .unconditional,
        help: "A file with such headers, one a line, which no list of processes shows.")
    var headerFile: String?

    /// Turns the endpoints into those of WebSockets.
    ///
    /// - Parameter port: as given with `-p`.
    func apply(to configuration: inout MQTTClientConfiguration, port: Int?) throws {
        guard isOn else {
            let given = [
                ("--ws-path", path != nil), ("--ws-header", !headers.isEmpty), ("--ws-header-file", headerFile != nil),
            ]
            if let flag = given.first(where: \.1)?.0 { throw CommandFailure.usage("\(flag) needs --ws.") }
            return
        }
        if configuration.endpoints.contains(where: \.isUnixSocket) {
            throw CommandFailure.usage("--ws and --unix exclude each other.")
        }
        let isSecure = configuration.tls != nil
        let target = path?.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false) ?? []
        let path = target.first.map(String.init) ?? MQTTEndpoint.WebSocket.standardPath
        let query = target.count == 2 ? MQTTSecret(target[1]) : nil
        if port == nil { configuration.endpoints[0].port = isSecure ? 443 : 80 }
        configuration.endpoints = configuration.endpoints.map { endpoint in
            isSecure
                ? .secureWebSocket(host: endpoint.host, port: endpoint.port, path: path, query: query)
                : .webSocket(host: endpoint.host, port: endpoint.port, path: path, query: query)
        }
        configuration.webSocket.headers = try (headers + fileLines()).map(Self.header)
    }

    private func fileLines() throws -> [String] {
        guard let headerFile else { return [] }
        let content: MQTTSecret
        do throws(FileFailure) {
            content = try FileReader.content(of: headerFile, limit: 1 << 16)
        } catch {
            throw CommandFailure(message: "--ws-header-file \(headerFile) \(error.reason).")
        }
        return content.text.split(whereSeparator: \.isNewline).map(String.init)
    }

    /// The error shows nothing of the header, which may be a token.
    private static func header(_ text: String) throws -> MQTTWebSocketHeader {
        guard let colon = text.firstIndex(of: ":"), colon > text.startIndex else {
            throw CommandFailure.usage("A header of a WebSocket is not of the form NAME: VALUE.")
        }
        let value = text[text.index(after: colon)...].drop { $0 == " " }
        return MQTTWebSocketHeader(String(text[..<colon]), MQTTSecret(value))
    }
}

extension WebSocketOptions: ReadableArguments {
    mutating func read(_ words: inout ArgumentReader) {
        isOn = words.flag("--ws")
        path = words.text("--ws-path")
        headers = words.texts("--ws-header")
        headerFile = words.text("--ws-header-file")
    }
}
