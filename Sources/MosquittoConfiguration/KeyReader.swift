// SPDX-License-Identifier: Apache-2.0

import Configuration
import Mosquitto

/// Reads keys, and distinguishes a value of the wrong type from a missing one: swift-configuration returns `nil` for
/// both, and a port that is not a number must not become the default port.
struct KeyReader {
    let config: ConfigReader
    /// The prefix of the keys' names in messages.
    private let prefix: String

    init(_ config: ConfigReader) {
        self.config = config
        prefix = ""
    }

    private init(_ config: ConfigReader, prefix: String) {
        self.config = config
        self.prefix = prefix
    }

    func scoped(to part: String) -> KeyReader {
        KeyReader(config.scoped(to: ConfigKey(part)), prefix: prefix + part + ".")
    }

    /// The name of a key, as on the module's front page.
    func name(_ key: String) -> String { "\"" + prefix + key + "\"" }

    func error(_ key: String, _ problem: String) -> MQTTError {
        MQTTError(.invalidConfiguration, "configuration key \(name(key)) \(problem)")
    }

    // MARK: Values

    func string(_ key: String, isSecret: Bool = false) throws(MQTTError) -> String? {
        let key = Key(key, isSecret)
        if let value = config.string(forKey: key.key, isSecret: isSecret) { return value }
        return try missing(key) { _ = try config.requiredString(forKey: key.key, isSecret: isSecret) }
    }

    func secret(_ key: String) throws(MQTTError) -> MQTTSecret? {
        try string(key, isSecret: true).map { MQTTSecret($0) }
    }

    func int(_ key: String) throws(MQTTError) -> Int? {
        let key = Key(key)
        if let value = config.int(forKey: key.key) { return value }
        return try missing(key) { _ = try config.requiredInt(forKey: key.key) }
    }

    func double(_ key: String) throws(MQTTError) -> Double? {
        let key = Key(key)
        if let value = config.double(forKey: key.key) { return value }
        if let value = config.int(forKey: key.key) { return Double(value) }
        return try missing(key) { _ = try config.requiredDouble(forKey: key.key) }
    }

    func bool(_ key: String) throws(MQTTError) -> Bool? {
        let key = Key(key)
        if let value = config.bool(forKey: key.key) { return value }
        return try missing(key) { _ = try config.requiredBool(forKey: key.key) }
    }

    func strings(_ key: String, isSecret: Bool = false) throws(MQTTError) -> [String]? {
        let key = Key(key, isSecret)
        if let value = config.stringArray(forKey: key.key, isSecret: isSecret) { return value }
        return try missing(key) { _ = try config.requiredStringArray(forKey: key.key, isSecret: isSecret) }
    }

    /// A number that must fit into its type.
    func number<N: FixedWidthInteger>(_ key: String, as type: N.Type) throws(MQTTError) -> N? {
        guard let value = try int(key) else { return nil }
        guard let number = N(exactly: value) else {
            throw error(key, "is \(value); it must be from \(N.min) to \(N.max)")
        }
        return number
    }

    func seconds(_ key: String) throws(MQTTError) -> Duration? {
        guard let value = try double(key) else { return nil }
        // A Duration has 64 bits of seconds; no deadline needs more than a thousand years.
        guard value.isFinite, abs(value) < 3.2e10 else {
            throw error(key, "is \(value); it must be a number of seconds")
        }
        return .seconds(value)
    }

    /// The value for one of a few names.
    func choice<T>(_ key: String, _ names: KeyValuePairs<String, T>) throws(MQTTError) -> T? {
        guard let value = try string(key) else { return nil }
        if let match = names.first(where: { $0.key == value }) { return match.value }
        let known = names.map { "\"" + $0.key + "\"" }.joined(separator: ", ")
        throw error(key, "is \"\(value)\"; it must be one of \(known)")
    }

    // MARK: Missing keys

    private struct Key {
        let name: String
        let key: ConfigKey
        let isSecret: Bool

        init(_ name: String, _ isSecret: Bool = false) {
            self.name = name
            key = ConfigKey(name)
            self.isSecret = isSecret
        }
    }

    /// Returns `nil` if no provider has the key. If a provider has a value of another type, throws the error of `read`.
    private func missing<T>(_ key: Key, _ read: () throws -> Void) throws(MQTTError) -> T? {
        guard isPresent(key) else { return nil }
        do {
            try read()
            return nil
        } catch {
            var failure = self.error(key.name, "has a value of the wrong type: \(error)")
            failure.underlying = error
            throw failure
        }
    }

    private func isPresent(_ key: Key) -> Bool {
        let (key, isSecret) = (key.key, key.isSecret)
        return config.string(forKey: key, isSecret: isSecret) != nil
            || config.double(forKey: key, isSecret: isSecret) != nil
            || config.int(forKey: key, isSecret: isSecret) != nil
            || config.bool(forKey: key, isSecret: isSecret) != nil
            || config.stringArray(forKey: key, isSecret: isSecret) != nil
            || config.doubleArray(forKey: key, isSecret: isSecret) != nil
    }
}
