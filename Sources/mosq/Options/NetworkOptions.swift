// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Mosquitto

/// The way to the broker.
struct NetworkOptions: ParsableArguments {
    @Option(
        name: [.customShort("L"), .long], parsing: .unconditional,
        help: ArgumentHelp(
            "mqtt(s)://[username[:password]@]host[:port]/topic, which stands for -h, -p, -u, -P and -t; ws(s)://… for "
                + "--ws too."))
    var url: String?

    @Flag(
        name: .customLong("url-decode"),
        help: "Decode %XX in the user name, the password and the topic of -L, which are taken as they are otherwise.")
    var decodesURL = false

    @Option(
        name: .customShort("o"), parsing: .unconditional,
        help: ArgumentHelp(
            "Read options from this file, one a line, instead of $XDG_CONFIG_HOME/mosquitto_pub, _sub or _rr.",
            valueName: "file"))
    var optionsFile: String?

    @Option(
        name: .customShort("A"), parsing: .unconditional, help: "Connect from this address of this machine.")
    var bindAddress: String?

    @Option(
        name: .long, parsing: .unconditional,
        help: ArgumentHelp(
            "A SOCKS5 or HTTP proxy: socks5h://, http:// or https://[username[:password]@]host[:port]. It resolves the "
                + "broker's name. 'environment' takes HTTPS_PROXY, ALL_PROXY and NO_PROXY."))
    var proxy: String?

    @Option(
        name: .customLong("proxy-cafile"), parsing: .unconditional,
        help: ArgumentHelp(
            "The certificate authorities of an https:// proxy, in place of the system's.", valueName: "file"))
    var proxyAuthorities: String?

    func apply(to configuration: inout MQTTClientConfiguration) throws {
        // ReferenceArguments has replaced these flags with others.
        if url != nil || optionsFile != nil {
            throw CommandFailure.usage("-L and -o are for mosq pub, sub and rr.")
        }
        if let bindAddress {
            guard let address = NumericAddress.of(bindAddress) else {
                throw CommandFailure(message: "-A \(bindAddress) is no address of this machine, nor the name of one.")
            }
            configuration.connection.localAddress = address
        }
        if let proxy { configuration.connection.proxy = try ProxyURL(proxy).proxy }
        if let proxyAuthorities {
            // The environment may name another kind of proxy, or none.
            if proxy == nil
                || configuration.connection.proxy.map({ $0.kind != .https && proxy != "environment" }) ?? false
            {
                throw CommandFailure.usage("--proxy-cafile needs an https:// proxy with --proxy.")
            }
            configuration.connection.proxy?.tls.trust = .file(proxyAuthorities)
        }
    }
}

extension NetworkOptions: ReadableArguments {
    mutating func read(_ words: inout ArgumentReader) {
        url = words.text("-L", "--url")
        decodesURL = words.flag("--url-decode")
        optionsFile = words.text("-o")
        bindAddress = words.text("-A")
        proxy = words.text("--proxy")
        proxyAuthorities = words.text("--proxy-cafile")
    }
}
