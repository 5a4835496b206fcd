// For whoever runs it: is it alive, does it keep up, what does it refuse, what does it owe, what does it cost.
local p = import 'parts.libsonnet';

local of(metric, more='') = metric + '{' + p.chosen + (if more == '' then '' else ', ' + more) + '}';
local rate(metric, by, more='') = 'sum by (' + by + ') (rate(' + of(metric, more) + '[$__rate_interval]))';
local quantile(q, metric, by, more='') =
  'histogram_quantile(' + q + ', ' + rate(metric + '_bucket', std.join(', ', ['le'] + by), more) + ')';
// The share of a histogram that lies within a bound, over the whole time that is shown.
local within(metric, bound, by='job') =
  // Prometheus 3 writes a bound as 5.0, Prometheus 2 as 5.
  'sum by (' + by + ') (rate(' + of(metric + '_bucket', 'le=~"' + bound + '([.]0)?"') + '[$__rate_interval])) / ' +
  'sum by (' + by + ') (rate(' + of(metric + '_count') + '[$__rate_interval]))';
local overview = p.dashboard('Overview', 'cardwatch-overview');
local line = p.metric('every line');

p.board(
  'cardwatch-operations',
  'cardwatch / Operations',
  'Throughput, lag, latency, dead letters, webhooks, memory and CPU of the processes of cardwatch.',
  [
    {
      title: 'Is it well?',
      panels: [
        p.number('Processes', 'Processes that answer Prometheus.', 'short', p.falling(1, 2), [p.runbook('CardwatchDown'), overview],
                 p.query('count(' + of('cardwatch_build_info') + ')', 'Processes')),
        p.number('Events per second', 'Input records that were read and worked off.', 'rps', p.falling(0.001, 0.01), [p.runbook('CardwatchNoTransactions'), line],
                 p.query('sum(rate(' + of('cardwatch_records_total', 'line="sight"') + '[$__rate_interval]))', 'Events')),
        p.number('Behind', 'Age of the last record that was worked off where more is waiting, of the partition that is furthest behind.', 's', p.rising(30, 300), [p.runbook('CardwatchFallingBehind'), line],
                 p.query('max(' + of('cardwatch_lag_seconds') + ')', 'Behind')),
        p.number('Alerts in time', 'Share of alerts committed within ' + p.settings.alert_within + ' s of their transaction.', 'percentunit', p.falling(0.95, 0.99), [p.runbook('CardwatchAlertsLate'), p.metric('score')],
                 p.query(within('cardwatch_alert_seconds', p.settings.alert_within), 'In time')),
        p.number('Exposed cards', 'Cards that are recognised. 0 means that nothing is.', 'short', p.falling(1, 1), [p.runbook('CardwatchNoExposedSet'), overview],
                 p.query('min(' + of('cardwatch_exposed_cards') + ' and on (job, instance) ' + of('cardwatch_partitions_owned', 'line="sight"') + ')', 'Cards')),
        p.number('List confirmed', 'When the process that is furthest behind last knew that it had read the list to its end.', 's', p.rising(30, 120), [p.runbook('CardwatchNoExposedSet'), p.metric('the exposed list')],
                 p.query('time() - min(' + of('cardwatch_exposures_confirmed_timestamp_seconds') + ')', 'Ago')),
      ],
    },
    {
      title: 'Throughput',
      panels: [
        p.lines('Events per second', 'Records read and worked off, by line.', 'rps', p.good, [p.runbook('CardwatchNoTransactions'), line],
                [p.query(rate('cardwatch_records_total', 'line'), '{{line}}')]),
        p.lines('Sightings and alerts per second', 'Transactions on exposed cards, and what was raised of them.', 'rps', p.good, [p.runbook('CardwatchHitsFellToNothing'), p.metric('score')],
                [
                  p.query('sum(rate(' + of('cardwatch_sightings_total') + '[$__rate_interval]))', 'sightings'),
                  p.query('sum(rate(' + of('cardwatch_judgements_total') + '[$__rate_interval]))', 'judged'),
                  p.query('sum(rate(' + of('cardwatch_duplicates_total') + '[$__rate_interval]))', 'duplicates'),
                  p.query('sum(rate(' + of('cardwatch_alerts_total') + '[$__rate_interval]))', 'alerts'),
                ]),
        p.lines('Share of transactions on exposed cards', 'Sightings of all records of the input. It changes slowly, with the list; a fall to nothing is a fault.', 'percentunit', p.good, [p.runbook('CardwatchHitsFellToNothing'), p.metric('sight')],
                [p.query('sum by (job) (rate(' + of('cardwatch_sightings_total') + '[$__rate_interval])) / sum by (job) (rate(' + of('cardwatch_records_total', 'line="sight"') + '[$__rate_interval]))', '{{job}}')]),
        p.lines('Time of the newest record', 'How old the newest record is that each line has worked off.', 's', p.rising(60, 900), [p.runbook('CardwatchNoTransactions'), line],
                [p.query('time() - (max by (line) (' + of('cardwatch_last_event_timestamp_seconds') + ') > 0)', '{{line}}')]),
      ],
    },
    {
      title: 'Lag',
      panels: [
        p.lines('Lag in seconds', 'Age of the last record worked off while more is waiting; the partition that is furthest behind, by line.', 's', p.rising(30, 300), [p.runbook('CardwatchFallingBehind'), line],
                [p.query('max by (line) (' + of('cardwatch_lag_seconds') + ')', '{{line}}')], drawn=true),
        p.lines('Lag in records', 'Records between the committed offset and the end of the partition, by line.', 'short', p.good, [p.runbook('CardwatchFallingBehind'), line],
                [p.query('sum by (line) (' + of('cardwatch_lag_records') + ')', '{{line}}')]),
        p.lines('The partitions furthest behind', 'The ten partitions whose last record worked off is oldest. One line that rises straight is a partition that stands still.', 's', p.rising(30, 300), [p.runbook('CardwatchPartitionStuck'), line],
                [p.query('topk(10, max by (topic, partition) (' + of('cardwatch_lag_seconds') + '))', '{{topic}} {{partition}}')]),
        p.lines('Behind open transactions', 'Records that a read_committed reader may not see yet. What stays for minutes is a stuck transaction of some producer.', 'short', p.rising(1, 1000), [p.runbook('stuck-transaction'), p.runbook('CardwatchPartitionStuck')],
                [p.query('sum by (topic) (' + of('cardwatch_unstable_records') + ')', '{{topic}}')]),
      ],
    },
    {
      title: 'Latency',
      panels: [
        p.lines('End to end: from transaction to alert', 'From the timestamp of the input record to the judgement of its alert.', 's', p.rising(1, std.parseInt(p.settings.alert_within)), [p.runbook('CardwatchAlertsLate'), p.metric('score')],
                [p.query(quantile(q, 'cardwatch_alert_seconds', []), 'p' + std.floor(q * 100)) for q in [0.5, 0.95, 0.99]], drawn=true),
        p.lines('Alerts in time', 'Share of alerts committed within ' + p.settings.alert_within + ' s. The service level is 99 %.', 'percentunit', p.falling(0.95, 0.99), [p.runbook('CardwatchAlertsLate'), p.metric('score')],
                [p.query(within('cardwatch_alert_seconds', p.settings.alert_within), '{{job}}')], drawn=true),
        p.lines('Commit latency', 'How long transactions take to commit, half of them and all but a hundredth, by line.', 's', p.rising(0.5, 3), [p.runbook('CardwatchCommitsSlow'), line],
                [p.query(quantile(q, 'cardwatch_commit_seconds', ['line']), '{{line}} p' + std.floor(q * 100)) for q in [0.5, 0.99]], drawn=true),
        p.lines('Commits and aborts', 'Transactions per second. Aborts come with rebalances and restarts of brokers; many of them in a quiet hour do not.', 'ops', p.good, [p.runbook('CardwatchCommitsSlow'), line],
                [
                  p.query(rate('cardwatch_commits_total', 'line'), '{{line}} committed'),
                  p.query(rate('cardwatch_aborts_total', 'line'), '{{line}} aborted'),
                ]),
      ],
    },
    {
      title: 'The exposed list and the histories',
      panels: [
        p.lines('Set size', 'Cards that each process recognises. Processes that differ for longer than seconds have read different lists.', 'short', p.good, [p.runbook('CardwatchNoExposedSet'), p.metric('the exposed list')],
                [p.query('max by (instance) (' + of('cardwatch_exposed_cards') + ')', '{{instance}}')], size=[8, 8]),
        p.lines('Frontier', 'Offset of the last change of the list that each process has applied.', 'none', p.good, [p.runbook('wrong-list-imported'), p.metric('the exposed list')],
                [p.query('max by (instance) (' + of('cardwatch_exposures_frontier_offset') + ')', '{{instance}}')], size=[8, 8]),
        p.lines('Age of keys', 'How long ago each key was made that cards are looked up with.', 's', p.rising(335 * 86400, 365 * 86400), [p.runbook('CardwatchKeyNearRetirement'), p.doc('Keys', 'docs/keys.md')],
                [p.query('time() - max by (key, use) (' + of('cardwatch_key_created_timestamp_seconds') + ')', '{{key}} ({{use}})')], size=[8, 8]),
        p.lines('Histories', 'Card histories in memory.', 'short', p.good, [p.doc('Retention', 'docs/retention.md'), p.metric('score')],
                [p.query('sum by (instance) (' + of('cardwatch_histories') + ')', '{{instance}}')], size=[8, 8]),
        p.lines('Restore', 'Histories read back per second after partitions were taken up, and partitions that wait for theirs.', 'short', p.good, [p.runbook('CardwatchPartitionHeld'), p.metric('score')],
                [
                  p.query('sum(rate(' + of('cardwatch_restored_histories_total') + '[$__rate_interval]))', 'histories per second'),
                  p.query('sum by (line) (' + of('cardwatch_partitions_held') + ')', '{{line}}: partitions that wait'),
                ], size=[8, 8]),
        p.lines('Partitions owned', 'Partitions by line and process. A line without any does nothing.', 'short', p.good, [p.runbook('CardwatchPartitionStuck'), line],
                [p.query('sum by (line, instance) (' + of('cardwatch_partitions_owned') + ')', '{{line}} {{instance}}')], size=[8, 8]),
      ],
    },
    {
      title: 'What does not read',
      panels: [
        p.lines('Dead letters by reason', 'Records that could not be read, per second.', 'rps', p.any_is_bad, [p.runbook('CardwatchDeadLettersRising'), p.doc('Dead letters', 'docs/dead-letters.md')],
                [p.query('sum by (line, reason) (rate(' + of('cardwatch_dead_letters_total') + '[$__rate_interval])) > 0', '{{line}} {{reason}}')], stacked=true),
        p.lines('Fields of sightings that do not read', 'Mapped fields that were there and did not read, or were withheld because they held a card number.', 'rps', p.any_is_bad, [p.doc('Mapping', 'docs/mapping.md'), p.runbook('CardwatchCardFieldUnreadable')],
                [
                  p.query(rate('cardwatch_unreadable_fields_total', 'field'), '{{field}} unreadable'),
                  p.query(rate('cardwatch_withheld_fields_total', 'field'), '{{field}} withheld'),
                ]),
        p.lines('Empty records', 'Input records with a null value.', 'rps', p.good, [p.doc('Mapping', 'docs/mapping.md'), p.metric('sight')],
                [p.query('sum(rate(' + of('cardwatch_tombstones_total') + '[$__rate_interval]))', 'null values')]),
        p.lines('Unknown signals', 'Signals that were unknown and so kept a rule from holding, the ten most frequent.', 'rps', p.good, [p.doc('Mapping', 'docs/mapping.md'), p.metric('score')],
                [p.query('topk(10, sum by (signal) (rate(' + of('cardwatch_unknown_signals_total') + '[$__rate_interval])))', '{{signal}}')]),
      ],
    },
    {
      title: 'Webhooks',
      panels: [
        p.lines('Backlog', 'Alerts that are owed to each endpoint.', 'short', p.rising(100, 1000), [p.runbook('CardwatchWebhookBacklog'), p.doc('Webhooks', 'docs/webhooks.md')],
                [p.query('sum by (endpoint) (' + of('cardwatch_webhook_owed_alerts') + ')', '{{endpoint}}')]),
        p.lines('Oldest owed', 'For how long the oldest alert that is owed is owed. At the retention of the topic of alerts it is lost.', 's', p.rising(3600, 7 * 86400), [p.runbook('CardwatchWebhookAlertExpiring'), p.doc('Webhooks', 'docs/webhooks.md')],
                [p.query('max by (endpoint) (' + of('cardwatch_webhook_oldest_owed_age_seconds') + ')', '{{endpoint}}')]),
        p.lines('Attempts', 'Requests to endpoints, by what came of them.', 'reqps', p.good, [p.runbook('CardwatchWebhookBacklog'), p.doc('Webhooks', 'docs/webhooks.md')],
                [p.query('sum by (endpoint, result) (rate(' + of('cardwatch_webhook_attempts_total') + '[$__rate_interval])) > 0', '{{endpoint}} {{result}}')], stacked=true),
        p.lines('Delivery time', 'From the raising of an alert to the answer of the endpoint that took it.', 's', p.rising(10, std.parseInt(p.settings.delivered_within)), [p.runbook('CardwatchWebhooksLate'), p.metric('notify')],
                [p.query(quantile(q, 'cardwatch_webhook_delivery_seconds', ['endpoint']), '{{endpoint}} p' + std.floor(q * 100)) for q in [0.5, 0.99]], drawn=true),
        p.lines('Delivered, failed, expired', 'What became of what was owed.', 'short', p.good, [p.runbook('CardwatchWebhooksLate'), p.metric('notify')],
                [
                  p.query('sum by (endpoint) (increase(' + of('cardwatch_webhook_deliveries_total') + '[$__rate_interval]))', '{{endpoint}} delivered'),
                  p.query('sum by (endpoint) (increase(' + of('cardwatch_webhook_failed_deliveries_total') + '[$__rate_interval]))', '{{endpoint}} failed'),
                  p.query('sum by (endpoint) (increase(' + of('cardwatch_webhook_expired_alerts_total') + '[$__rate_interval]))', '{{endpoint}} expired'),
                ]),
        p.bars('Disabled endpoints', 'Endpoints that are disabled are told nothing, and what is owed to them grows.', 'short', p.any_is_bad, [p.runbook('CardwatchWebhookDisabled'), p.doc('Webhooks', 'docs/webhooks.md')],
               [p.query('max by (endpoint) (' + of('cardwatch_webhook_disabled') + ')', '{{endpoint}}')], size=[6, 8]) +
        { fieldConfig+: { defaults+: { mappings: p.words(['told', 'green'], ['disabled', 'red']), min: 0, max: 1 } } },
        p.bars('Alerts about to expire', 'Endpoints that are owed an alert which its topic deletes within a day.', 'short', p.any_is_bad, [p.runbook('CardwatchWebhookAlertExpiring'), p.doc('Webhooks', 'docs/webhooks.md')],
               [p.query('max by (endpoint) (' + of('cardwatch_webhook_expiring') + ')', '{{endpoint}}')], size=[6, 8]) +
        { fieldConfig+: { defaults+: { mappings: p.words(['none', 'green'], ['within a day', 'red']), min: 0, max: 1 } } },
      ],
    },
    {
      title: 'The process',
      panels: [
        p.lines('Memory', 'Memory that is in RAM, by process.', 'bytes', p.good, [p.doc('Figures', 'docs/figures.md'), p.metric('the process')],
                [p.query('max by (instance) (' + of('process_resident_memory_bytes') + ')', '{{instance}}')], size=[8, 8]),
        p.lines('CPU', 'Cores in use, by process.', 'short', p.good, [p.doc('Figures', 'docs/figures.md'), p.metric('the process')],
                [p.query('sum by (instance) (rate(' + of('process_cpu_seconds_total') + '[$__rate_interval]))', '{{instance}}')], size=[8, 8]),
        p.lines('Files and threads', 'Open files and sockets, and threads, by process.', 'short', p.good, [p.metric('the process'), p.runbook('CardwatchDown')],
                [
                  p.query('max by (instance) (' + of('process_open_fds') + ')', '{{instance}} files'),
                  p.query('max by (instance) (' + of('process_threads') + ')', '{{instance}} threads'),
                ], size=[8, 8]),
        p.lines('Uptime', 'How long each process runs.', 's', p.good, [p.runbook('CardwatchDown'), p.metric('the process')],
                [p.query('time() - max by (instance) (' + of('process_start_time_seconds') + ')', '{{instance}}')], size=[8, 7]),
        p.lines('Requests refused', 'Requests to the API without a token, with an unknown one, or with a role that may not.', 'reqps', p.any_is_bad, [p.doc('Security', 'docs/security.md'), p.metric('the process')],
                [p.query(rate('cardwatch_http_refused_total', 'reason'), '{{reason}}')], size=[8, 7]),
        p.table('Versions', 'What runs where.', 'short', p.plain, [p.runbook('CardwatchDown'), p.metric('the process')],
                [p.rows('max by (instance, version, librdkafka) (' + of('cardwatch_build_info') + ')')],
                { label: 'instance', name: 'Process' }, [{ name: 'Runs', unit: 'short', mappings: p.words(['no', 'red'], ['yes', 'green']) }], size=[8, 7]),
        p.lines('Alerts known to the desk', 'Alerts that the desk has at hand, and those it left out because there are too many.', 'short', p.good, [p.doc('Configuration: books.alerts_max', 'config/reference.toml'), p.metric('books')],
                [
                  p.query('max(' + of('cardwatch_desk_alerts') + ')', 'known'),
                  p.query('max(' + of('cardwatch_desk_left_out_alerts') + ')', 'left out'),
                ]),
        p.lines('Forgotten histories', 'Histories deleted per second: idle for long, or of cards that no list keeps.', 'ops', p.good, [p.doc('Retention', 'docs/retention.md'), p.metric('score')],
                [p.query('sum(rate(' + of('cardwatch_forgotten_histories_total') + '[$__rate_interval]))', 'forgotten')]),
      ],
    },
  ],
  [p.doc('Runbooks', 'docs/runbooks/README.md'), p.doc('Metrics', 'docs/metrics.md')],
  from='now-3h',
)
