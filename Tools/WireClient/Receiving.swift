import Mosquitto

extension WireClient {
    /// 03, broker to client, and 11, properties that come. The drivers send messages to a client that has not subscribed: a
    /// program of this library does not see those, but what it answers can be compared.
    static let receiving: [String: Program] = [
        "03-publish-b2c-qos1": { try await stay(configuration($0, "publish-qos1-test")) },
        "03-publish-b2c-qos1-unexpected-puback": {
            try await stay(configuration($0, "publish-qos1-test", keepAlive: 5))
        },
        "03-publish-b2c-qos2": { try await stay(configuration($0, "publish-qos2-test")) },
        "03-publish-b2c-qos2-len": { try await stay(configuration($0, "publish-qos2-test", .v5_0)) },
        "03-publish-b2c-qos2-unexpected-pubcomp": {
            try await stay(configuration($0, "publish-qos2-test", keepAlive: 5))
        },
        "03-publish-b2c-qos2-unexpected-pubrel": { try await stay(configuration($0, "publish-qos2-test")) },
        "11-prop-recv-qos0": { try await stay(configuration($0, "prop-test", .v5_0)) },
        "11-prop-recv-qos1": { try await stay(configuration($0, "prop-test", .v5_0)) },
        "11-prop-recv-qos2": { try await stay(configuration($0, "prop-test", .v5_0)) },
    ]
}
