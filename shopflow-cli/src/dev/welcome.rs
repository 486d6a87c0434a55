//! What `shopflow dev` says.
#![expect(clippy::print_stdout, reason = "it is run at a terminal")]

use std::path::Path;

use super::people::People;

const ORDER: &str = r#"{"items":[{"product_id":"f47ac10b-58cc-4372-a567-0e02b2c3d479","product_name":"Wireless Headphones","quantity":2,"unit_price":49.99}],"shipping_address":{"street":"742 Evergreen Terrace","city":"Springfield","state":"IL","zip_code":"62704","country":"US"}}"#;

/// Where everything is, who can log in, and lines to paste.
pub(crate) fn show(folder: &Path, people: &People, urls: &[String; 3]) {
    let [auth, orders, notify] = urls;
    let (admin, customer) = (&people.admin, &people.customer);
    let json = "-H 'content-type: application/json'";
    println!(
        "\
ShopFlow is running. Ctrl-C stops it; everything is kept in {folder}.

  auth      {auth}
  orders    {orders}
  notify    {notify}
  inbox     {notify}/inbox

  admin     {admin_email}      {admin_password}
  customer  {email}   {password}

Log in and place an order:

TOKEN=$(curl -s {auth}/auth/login {json} -d '{{\"email\":\"{email}\",\"password\":\"{password}\"}}' | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')
curl -s {orders}/orders -H \"authorization: Bearer $TOKEN\" {json} -d '{ORDER}'

A moment later its mail is at {notify}/inbox.
",
        folder = folder.display(),
        admin_email = admin.email,
        admin_password = admin.password,
        email = customer.email,
        password = customer.password,
    );
}

/// Said at the end.
pub(crate) fn stopped(folder: &Path) {
    println!("Stopped. Everything is kept in {}.", folder.display());
}
