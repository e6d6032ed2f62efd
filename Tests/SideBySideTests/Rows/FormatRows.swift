// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting

/// The formats of `sub -F`, each for all of ``WirePublish/samples``.
enum FormatRows {
    static let all: [Row] =
        formats.flatMap { format in
            [
                SubscribeRows.sampled("-F '\(format)'", "-C", "8", "-F", format),
                SubscribeRows.sampled("-F '\(format)', 5.0", "-C", "8", "-V", "5", "-F", format),
            ]
        } + times + variants

    private static let formats = [
        "%t|%p", "%x|%X|%l|%m|%q|%r|%%", "%A|%C|%D|%E|%F|%P|%R|%S", #"\0\a\e\n\r\t\v\\"#, "@@|%%|text",
        "%10t|%-10t|%.3t|%5.3t|%-5.3t|%010t|%.0t", "%10p|%-10p|%.2p|%5.2p|%-3p|%03p|%-p", "%10x|%-10x|%3x|%010X|%-X",
        "%5l|%-5l|%05l|%-05l|%5.1l", "%5A|%-5C|%05E|%5F|%05S|%5R|%.2C|%-8.2R|", "%5D|%20P|%5q|%5r|%5m|%-5m|%05m", "%j",
    ]

    private static let times: [Row] = [
        "%I", "%30I|%-30I|%.4I", "%U", "@N", "@Y-@m-@dT@H:@M:@S.@N@z", "@s", "@A|@B|@c|@Z|@j|@p|@E|@Q|@%",
    ].map { SubscribeRows.sampled("-F '\($0)'", "-C", "1", "-F", $0, varies: [.digits]) }

    private static let variants: [Row] = [
        SubscribeRows.sampled("-F %J", "-C", "8", "-F", "%J"),
        SubscribeRows.sampled("-F %J, 5.0", "-C", "8", "-F", "%J", "-V", "5"),
        SubscribeRows.sampled("-F %j --pretty", "-C", "8", "-F", "%j", "--pretty"),
        SubscribeRows.sampled("-F %J --pretty", "-C", "8", "-F", "%J", "--pretty"),
        SubscribeRows.sampled("-F %J --pretty, 5.0", "-C", "8", "-F", "%J", "--pretty", "-V", "5"),
        SubscribeRows.sampled("-F %p -N", "-C", "8", "-F", "%p,", "-N"),
        SubscribeRows.sampled("-F %p -v", "-C", "8", "-F", "%p", "-v"),
        SubscribeRows.sampled("-F, empty", "-C", "8", "-F", ""),
        SubscribeRows.sampled("-F UTF-8", "-C", "2", "-F", "→ %t 😀 @é"),
        SubscribeRows.sampled("-F, twice", "-C", "2", "-F", "%p", "-F", "%t"),
    ]
}
