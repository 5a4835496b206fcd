// What a house may want different. Change it here, render again, and provision what comes out.
{
  // Where this repository's pages are served: links lead to docs/ below it.
  home: 'https://cardwatch.example',
  // An incident none of whose cards was seen for so long is silent.
  silent_days: 7,
  // The first service level: an alert is committed so many seconds after its transaction was on the input topic.
  // A bound of the histogram cardwatch_alert_seconds, and the same as in ../../prometheus/rules.yml.
  alert_within: '5',
  // The second: a webhook is delivered so many seconds after its alert was raised. A bound of
  // cardwatch_webhook_delivery_seconds.
  delivered_within: '60',
}
