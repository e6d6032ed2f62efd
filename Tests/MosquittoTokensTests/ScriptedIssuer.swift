// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// A token endpoint on this machine that answers as the script says: one answer a request, the last one again and again.
final class ScriptedIssuer: Sendable {
    enum Answer: Sendable {
        case full(_ status: Int, headers: [String: String] = [:], _ body: String)
        /// Never answers.
        case silence
        /// Answers with a head and half a body, and no more.
        case half
        /// Closes the connection.
        case hangUp

        /// A token of one minute.
        static func token(_ token: String) -> Answer {
            .full(200, #"{"access_token": "\#(token)", "token_type": "Bearer", "expires_in": 60}"#)
        }
    }

    struct Request: Sendable {
        var method: String
        var path: String
        var headers: HTTPHeaders
        var body: String

        var form: [String: String] {
            let fields = body.split(separator: "&").map { $0.split(separator: "=", omittingEmptySubsequences: false) }
            return Dictionary(
                fields.map { (decoded($0[0]), decoded($0.count > 1 ? $0[1] : "")) }, uniquingKeysWith: { $0 + "," + $1 }
            )
        }

        private func decoded(_ text: Substring) -> String {
            text.replacing("+", with: " ").removingPercentEncoding ?? "?"
        }
    }

    fileprivate struct State {
        var answers: [Answer]
        var requests: [Request] = []
    }

    let port: Int
    private let group: MultiThreadedEventLoopGroup
    private let state: StateBox

    var requests: [Request] { state.value.withLock { $0.requests } }

    /// Starts one, with TLS if there is an identity, and ends it with everything it holds.
    static func run(
        _ answers: [Answer], identity: TestIdentity? = nil, _ body: (ScriptedIssuer) async throws -> Void
    ) async throws {
        let issuer = try await ScriptedIssuer(answers, identity)
        do { try await body(issuer) } catch {
            try await issuer.group.shutdownGracefully()
            throw error
        }
        try await issuer.group.shutdownGracefully()
    }

    private init(_ answers: [Answer], _ identity: TestIdentity?) async throws {
        let tls = try identity.map { identity in
            try NIOSSLContext(
                configuration: .makeServerConfiguration(
                    certificateChain: try NIOSSLCertificate.fromPEMBytes(Array(identity.certificatePEM.utf8))
                        .map { .certificate($0) },
                    privateKey: .privateKey(
                        try NIOSSLPrivateKey(bytes: Array(identity.privateKeyPEM.utf8), format: .pem))))
        }
        let state = StateBox(State(answers: answers))
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let listener = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls)) }
                    try pipeline.configureHTTPServerPipeline()
                    try pipeline.addHandler(IssuerHandler(state))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        self.group = group
        self.state = state
        port = listener.localAddress?.port ?? 0
    }
}

/// Shared by the event loop and the test.
private final class StateBox: Sendable {
    let value: Mutex<ScriptedIssuer.State>
    init(_ state: ScriptedIssuer.State) { value = Mutex(state) }
}

private final class IssuerHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let state: StateBox
    private var request: ScriptedIssuer.Request?

    init(_ state: StateBox) { self.state = state }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            request = ScriptedIssuer.Request(
                method: head.method.rawValue, path: head.uri, headers: head.headers, body: "")
        case .body(let buffer): request?.body += String(buffer: buffer)
        case .end:
            guard let request else { return }
            let answer = state.value.withLock { state in
                state.requests.append(request)
                return state.answers.count > 1 ? state.answers.removeFirst() : state.answers[0]
            }
            give(answer, context)
        }
    }

    /// A client that does not trust the certificate, and one that has gone.
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

    private func give(_ answer: ScriptedIssuer.Answer, _ context: ChannelHandlerContext) {
        switch answer {
        case .full(let status, let headers, let body):
            send(status, headers, body, length: body.utf8.count, context)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        case .half: send(200, [:], #"{"access_token": "#, length: 1_000, context)
        case .silence: break
        case .hangUp: context.close(promise: nil)
        }
    }

    private func send(
        _ status: Int, _ headers: [String: String], _ body: String, length: Int, _ context: ChannelHandlerContext
    ) {
        var head = HTTPResponseHead(version: .http1_1, status: HTTPResponseStatus(statusCode: status))
        head.headers.add(name: "Content-Length", value: String(length))
        for (name, value) in headers { head.headers.add(name: name, value: value) }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(string: body)))), promise: nil)
    }
}
