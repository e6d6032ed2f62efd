// SPDX-License-Identifier: Apache-2.0

import Logging

extension Logger {
    /// A logger for clients whose failures are what is measured.
    static var promises: Logger {
        var logger = Logger(label: "promises")
        logger.logLevel = .critical
        return logger
    }
}
