// SPDX-License-Identifier: Apache-2.0

import CMosquitto

/// The version of libmosquitto that the process has loaded.
public enum MosquittoLibrary {
    /// The version, such as "2.0.11" (`mosquitto_lib_version`).
    public static let version: String = {
        var (major, minor, revision) = (Int32(0), Int32(0), Int32(0))
        mosquitto_lib_version(&major, &minor, &revision)
        return "\(major).\(minor).\(revision)"
    }()

    /// Initializes libmosquitto and OpenSSL once per process, before any other call of theirs.
    static let initialize: Void = {
        OpenSSLLibrary.initialize
        // Not thread-safe. Never undone: mosquitto_lib_cleanup would unload OpenSSL's configuration for the whole
        // process.
        _ = mosquitto_lib_init()
    }()
}
